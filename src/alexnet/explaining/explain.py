"""Explanations of what a network sees on pictures: maps, checked, with the answer that they explain."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from alexnet.data.augment import augment, margin, views
from alexnet.data.imagenet import words
from alexnet.data.labels import labels, unknown
from alexnet.errors import BadImage, UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.explaining.checks import Mapped, check
from alexnet.explaining.maps import Fill, Method, cover, drawer
from alexnet.models.network import Network
from alexnet.records import Explanation

GRAY = 128


@dataclass(frozen=True)
class Drawn:
    """An explanation with its map, (side, side), and the part of the picture that the network saw, as RGB."""

    explanation: Explanation
    map: NDArray[np.float32]
    seen: NDArray[np.uint8]  # (side, side, 3)

    def picture(self) -> bytes:
        """Returns what the network saw, as a PNG file."""
        return file_of(self.seen)

    def overlaid(self) -> bytes:
        """Returns the picture in gray with the map over it in colour, as a PNG file."""
        return file_of(overlay(self.seen, self.map))


def overlay(seen: NDArray[np.uint8], map_: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Returns a picture (S, S, 3) in gray with a map (S, S) over it in colour, (S, S, 3)."""
    gray = np.asarray(Image.fromarray(seen).convert("L"), np.float32)[..., None].repeat(3, 2)
    strength = map_.clip(0) / max(float(map_.max()), 1e-12)
    heat = np.stack([np.interp(strength, STOPS, channel) for channel in HEAT], 2)
    blended = gray * (1 - 0.75 * strength[..., None]) + heat * 0.75 * strength[..., None]
    return blended.round().astype(np.uint8)


def file_of(pixels: NDArray[np.uint8], kind: Literal["PNG", "JPEG"] = "PNG") -> bytes:
    """Returns pixels (H, W, 3) as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=85)
    return file.getvalue()


# From dark violet over red to yellow: a scale that stays one in gray.
STOPS, HEAT = (0.0, 0.35, 0.7, 1.0), ((60, 150, 240, 255), (10, 30, 120, 235), (110, 90, 30, 80))


def explain(
    classifier: Classifier, paths: Sequence[Path], methods: Sequence[Method], class_name: str | None, fill: Fill
) -> Iterator[Drawn | BadImage]:
    """Yields a map for each picture and each method, in order, or once why a picture cannot be read.

    Args:
        classifier: In float32, on the CPU.
        paths: Picture files.
        methods: How the maps are drawn.
        class_name: The class to look for, as the network calls it or in words; None takes each picture's first guess.
        fill: What covers the picture in `occlusion`.

    Raises:
        UsageError: The network has no such class.
    """
    label = None if class_name is None else label_of(classifier.classes, class_name)
    classifier.model.eval()
    for path in paths:
        picture = classifier.read_or_reason(path)
        if isinstance(picture, BadImage):
            yield picture
        else:
            for method in methods:
                yield explain_picture(classifier, str(path), picture, method, label, fill)


def explain_picture(
    classifier: Classifier, name: str, picture: NDArray[np.uint8], method: Method, label: int | None, fill: Fill
) -> Drawn:
    """Returns the map of a picture, (S, S, 3), for a class; None takes the first guess. See `explain`."""
    model, image = classifier.model, preprocessed(classifier, picture)
    gray = preprocessed(classifier, np.full_like(picture, GRAY))
    with torch.inference_mode():
        probabilities = model(image[None]).softmax(1)[0]
    label = int(probabilities.argmax()) if label is None else label

    def covering(image: Tensor) -> Tensor:
        return cover(fill, image, gray)

    heat = drawer(method, covering)(model, image, label)
    draw = drawer(method, covering, coarse=True)

    def compared(other: Network, _: object) -> list[Tensor]:
        return [heat if other is model and method != "occlusion" else draw(other, image, label)]

    (checks,) = check(model, [Mapped(image, label, heat)], compared)
    side = model.input_size
    edge = margin(len(picture), side)
    explanation = Explanation(
        image=name,
        class_name=classifier.classes[label],
        words=words(classifier.classes[label]),
        probability=min(1.0, float(probabilities[label])),
        method=method,
        checks=checks,
        failure=checks.failure,
    )
    return Drawn(explanation, heat.numpy(), picture[edge : edge + side, edge : edge + side])


def preprocessed(classifier: Classifier, picture: NDArray[np.uint8]) -> Tensor:
    """Returns the centre view of a picture, (S, S, 3), as the network takes it: (3, side, side), float32."""
    (draws,) = views(1, 1, classifier.stored_size, classifier.model.input_size, classifier.divide_pixels_by)
    mean = torch.from_numpy(classifier.mean)
    return augment(picture[None], draws, mean, classifier.model.input_size, torch.float32)[0]


def label_of(classes: Sequence[str], name: str) -> int:
    """Returns the position of a class, by its name or its words.

    Raises:
        UsageError: There is no such class.
    """
    plain = labels(classes)
    for label, own in enumerate(classes):
        if name in (own, words(own), plain[own]):
            return label
    raise UsageError(unknown(name, list(plain.values())))
