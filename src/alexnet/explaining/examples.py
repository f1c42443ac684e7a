"""Maps for the pictures of a report, drawn and checked together."""

from pathlib import Path

import torch
from msgspec import structs

from alexnet.data import decode
from alexnet.data.augment import margin
from alexnet.evaluation.classifier import load
from alexnet.explaining.checks import Mapped, check
from alexnet.explaining.explain import file_of, overlay, preprocessed
from alexnet.explaining.maps import grad_cams
from alexnet.records import Example, ExampleMap, Examples
from alexnet.run import Run


def draw_maps(run: Run) -> None:
    """Draws the maps that the pictures of a run's report lack, and keeps them with the pictures.

    Raises:
        CheckpointError: The run's weights are missing, damaged or untrained, or its files are damaged.
        BadImage: A picture cannot be decoded.
    """
    examples, evaluation = run.examples(), run.evaluation()
    if examples and evaluation and not all(each.map for each in (*examples.sample, *examples.mistakes)):
        run.put(evaluation, with_maps(run.folder, examples), evaluation.split)


def with_maps(run: Path, examples: Examples) -> Examples:
    """Returns the pictures of an evaluation, each with a map by Grad-CAM of the network's first guess, checked.

    They are stored pictures of the size that the run's network takes. A map costs a few passes of the network, and the
    shuffled weights of the check serve all maps.

    Raises:
        CheckpointError: The run's weights are missing, damaged or untrained.
        BadImage: A picture cannot be decoded.
    """
    shown = [*examples.sample, *examples.mistakes]
    if not shown:
        return examples
    classifier = load(run, numbers="float32", device="cpu")
    model, side = classifier.model.eval(), classifier.model.input_size
    edge = margin(classifier.stored_size, side)
    pictures = [decode.load(each.jpeg, each.name, classifier.stored_size, classifier.square) for each in shown]
    images = torch.stack([preprocessed(classifier, picture) for picture in pictures])
    labels = torch.tensor([classifier.classes.index(each.top[0][0]) for each in shown])
    maps = grad_cams(model, images, labels)
    mapped = [Mapped(*each) for each in zip(images, labels.tolist(), maps, strict=True)]
    checked = check(model, mapped, lambda other, _: grad_cams(other, images, labels))
    drawn: list[Example] = []
    for each, picture, one, checks in zip(shown, pictures, maps, checked, strict=True):
        seen = picture[edge : edge + side, edge : edge + side]
        file = file_of(overlay(seen, one.numpy()), "JPEG")
        drawn.append(structs.replace(each, map=ExampleMap(jpeg=file, failure=checks.failure)))
    count = len(examples.sample)
    return structs.replace(examples, sample=tuple(drawn[:count]), mistakes=tuple(drawn[count:]))
