"""A trained network with its classes and its preprocessing bound to it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet import machine
from alexnet.data import decode
from alexnet.data.augment import augment
from alexnet.data.augment import views as make_views
from alexnet.data.imagenet import words
from alexnet.data.leaving import contents
from alexnet.errors import BadImage, CheckpointError, UsageError
from alexnet.evaluation import quantise
from alexnet.models.network import Network
from alexnet.records import Evaluation, Guess, Header, Prediction, Square
from alexnet.run import Run
from alexnet.weights import box, checkpoint, compressed, evidence, manifest, pretrained
from alexnet.weights.strange import refuse_strange

TOGETHER = 16
"""Picture files that `predict` reads at a time, and rows that the network computes at a time, however few they are.

Libraries multiply few rows in another order than many: a picture's bits would depend on how many are beside it."""


@dataclass
class Classifier:
    """Names what is on a picture."""

    model: Network
    mean: NDArray[np.float32]  # (S, S, 3) mean image of its training split, 0..255; S is the side of stored pictures
    dtype: torch.dtype  # of activations and products
    header: Header  # what the weight file says of itself

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each output."""
        return self.header.classes

    @property
    def divide_pixels_by(self) -> float:
        """What pixels are divided by after the mean is subtracted."""
        return self.header.preprocessing.divide_pixels_by

    @property
    def stored_size(self) -> int:
        """Side of the pictures it takes, pixels."""
        return len(self.mean)

    @property
    def square(self) -> Square:
        """How its pictures become square: `centre` or `warp`."""
        return self.header.preprocessing.square

    def probabilities(self, pictures: NDArray[np.uint8], views: int = 1) -> NDArray[np.float32]:
        """Returns the probability of each class, (N, C), averaged over 1 view, the centre, or over 10.

        The pictures are (N, S, S, 3) RGB with S = `stored_size`; `read` makes them.

        Source: paper section 4.1; softmax outputs are averaged, as the 2012 source does.
        """
        total = sum(answers.softmax(1) for answers in self._run(self.model, pictures, views))
        return np.asarray((total / views).cpu().numpy())  # type: ignore[union-attr]

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the features of the centre view, AlexNet's fc7 after its ReLU: (N, 4096)."""
        (features,) = self._run(self.model.features, pictures, views=1)
        return np.asarray(features.cpu().numpy())

    def outputs(self, pictures: NDArray[np.uint8], layer: str, views: int = 1) -> NDArray[np.float32]:
        """Returns what a layer of `model.order` gives, averaged over 1 view, the centre, or over 10.

        The pictures are those of `probabilities`. Returns (N, C, H, W) of a convolutional layer, else (N, units).
        """

        def output(images: Tensor) -> Tensor:
            is_last = layer == self.model.feature_layer  # which has a faster way
            return self.model.features(images) if is_last else self.model.activations(images, layer)[layer]

        total = sum(self._run(output, pictures, views))
        return np.asarray((total / views).cpu().numpy())  # type: ignore[union-attr]

    def layers(self, pictures: NDArray[np.uint8], *names: str) -> list[NDArray[np.float32]]:
        """Returns what layers of `model.order` give on the centre view, (N, units) each, in one pass."""
        outputs: dict[str, Tensor] = {}

        def keep(images: Tensor) -> Tensor:
            outputs.update(self.model.activations(images, *names))
            return outputs[names[-1]]

        for _ in self._run(keep, pictures, views=1):
            pass
        return [np.asarray(outputs[name].flatten(1).float().cpu().numpy()) for name in names]

    def __repr__(self) -> str:
        return f"Classifier({self.model.variant!r}, {len(self.classes)} classes, {self.stored_size} pixels)"

    def read(self, paths: str | Path | Iterable[str | Path]) -> NDArray[np.uint8]:
        """Reads a picture file, or several, the way the training data were read: (N, S, S, 3).

        Raises:
            BadImage: A picture cannot be decoded, or is no file.
            OSError: A file cannot be read.
        """
        paths = [paths] if isinstance(paths, str | Path) else paths
        files = ((contents(Path(path)), str(path)) for path in paths)
        return np.stack([decode.load(data, name, self.stored_size, self.square) for data, name in files])

    def read_or_reason(self, path: Path) -> NDArray[np.uint8] | BadImage:
        """Returns a picture file as `read` does, (S, S, 3), or why it cannot be read."""
        try:
            return decode.load(contents(path), str(path), self.stored_size, self.square)
        except OSError as error:
            return BadImage(str(path), error.strerror or str(error))
        except BadImage as error:
            return error

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, numbers: str = "auto") -> "Classifier":
        """Loads what `save_pretrained` wrote; `load` under the name that Hugging Face's users expect. No network."""
        return load(folder, numbers=numbers)

    def save_pretrained(
        self, folder: str | Path, *, licence: str | None = None, evaluation: Evaluation | None = None
    ) -> None:
        """Writes a new folder as Hugging Face's tools have it; see `weights.pretrained`.

        The model card says that the licence is not stated where none, such as `bsd-3-clause`, is given; it shows the
        errors of `evaluation`.

        Raises:
            UsageError: The folder holds something, or the network was loaded in other numbers than float32.
            CheckpointError: The network is untrained.
            DataError: The disk is full.
        """
        if any(p.dtype != torch.float32 for p in self.model.state_dict().values()):
            raise UsageError('this network holds rounded weights; load it with numbers="float32" to save it')
        evidence.refuse_untrained(self.model, Path(folder))
        pretrained.save(Path(folder), self.model, self.mean, self.header, licence, evaluation)

    def _run(self, function: Callable[[Tensor], Tensor], pictures: NDArray[np.uint8], views: int) -> Iterator[Tensor]:
        """Yields what the network's function returns for each view, in float32."""
        device, size = next(self.model.parameters()).device, self.model.input_size
        mean = torch.from_numpy(self.mean).to(device)
        for draws in make_views(len(pictures), views, self.stored_size, size, self.divide_pixels_by):
            images = augment(pictures, draws, mean, size, self.dtype)
            was_training = self.model.training
            self.model.eval()
            with torch.inference_mode(), torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
                answers = function(images)
            self.model.train(was_training)
            yield answers.float()


def load(run: str | Path, *, numbers: str = "auto", device: torch.device | str | None = None) -> Classifier:
    """Loads a trained network: the best weights of a run folder, a weight file, compressed or not, or one by its name.

    "tiny-imagenet" comes with the package.

    `numbers` is one of `quantise.NUMBERS`; `auto` is bf16 where the processor has it. The network is put on `device`,
    by default on the GPU where there is one; maps are drawn on the CPU alone.

    Raises:
        CheckpointError: There are no weights, or they are damaged, untrained, or give other outputs than they did.
    """
    path = weight_file(run)
    with ThreadPoolExecutor(1) as thread:
        comparison = thread.submit(manifest.compare, path)  # reads the whole file, which takes as long as the rest
        try:
            loaded = compressed.load(path) if compressed.is_compressed(path) else checkpoint.load(path)
        finally:
            comparison.result()
    evidence.refuse_untrained(loaded.model, path)
    model, dtype = quantise.prepare(loaded.model, numbers)
    model.to(device or machine.device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    header = Run(run).located(loaded.header) if Path(run).is_dir() else loaded.header
    return Classifier(model, loaded.mean, dtype, header)


def weight_file(run: str | Path) -> Path:
    """Returns the weight file of a run folder or of a network that comes with the package, or the file itself.

    Raises:
        CheckpointError: There is no such file, it is another program's, or the folder has no weights.
    """
    path = box.find(run) or (Run(run).weights if Path(run).is_dir() else Path(run))
    if not path.is_file():
        others = f"a run folder, a weight file or {', '.join(box.NAMES)}"
        raise CheckpointError(f"no trained network at {run}: {path.name} is missing; give {others}")
    refuse_strange(path)
    return path


def predict(classifier: Classifier, paths: Iterable[Path], views: int = 1, top: int = 5) -> Iterator[Prediction]:
    """Yields what is on each picture file, in order, or why it cannot be read.

    At 1 view, the centre, or 10; the `top` most probable classes are named, the most probable first.
    """
    remaining = iter(paths)
    with ThreadPoolExecutor(thread_name_prefix="decode") as threads:
        while some := list(islice(remaining, TOGETHER)):
            pictures = list(threads.map(classifier.read_or_reason, some))
            good = [picture for picture in pictures if not isinstance(picture, BadImage)]
            rows = iter(padded(classifier, good, views)) if good else iter(())
            for path, picture in zip(some, pictures, strict=True):
                if isinstance(picture, BadImage):
                    yield Prediction(image=str(path), error=picture.reason)
                else:
                    yield Prediction(image=str(path), predictions=best(next(rows), classifier.classes, top))


def padded(
    classifier: Classifier, pictures: Sequence[NDArray[np.uint8]], views: int, rows: int = TOGETHER
) -> NDArray[np.float32]:
    """Returns the probabilities of at most `rows` pictures, (N, C), computed as those of `rows` pictures."""
    blank = np.zeros_like(pictures[0])
    together = np.stack([*pictures, *[blank] * (rows - len(pictures))])
    return classifier.probabilities(together, views)[: len(pictures)]


def best(probabilities: NDArray[np.float32], classes: tuple[str, ...], top: int) -> tuple[Guess, ...]:
    """Returns the `top` most probable classes, the most probable first, of the probabilities of all, (C,)."""
    order = probabilities.argsort(kind="stable")[::-1][:top]
    return tuple(
        Guess(class_name=classes[i], probability=min(1.0, float(probabilities[i])), words=words(classes[i]) or None)
        for i in order
    )
