"""What a format for another runtime is: what its files take, and how they are built, loaded and written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.augment import augment, margin, views
from alexnet.evaluation.classifier import Classifier
from alexnet.models.alexnet import AlexNet
from alexnet.models.network import Network
from alexnet.records import Square

Input = NDArray[np.float32] | NDArray[np.uint8]
"""What a file takes: the network's input, (N, 3, S, S); or pictures, (N, H, W, 3), if it preprocesses them itself."""

RULES: dict[Square, str] = {
    "centre": "centre square (offsets rounded down), resized by antialiased bilinear to {size}, rounded",
    "warp": "both sides resized by plain bilinear to {size}, without regard to shape, rounded down",
}


@dataclass(frozen=True)
class PreprocessingSteps:
    """The way from RGB pictures to the network's input.

    Pictures become square in one way or another, are resized to `stored_size` pixels, give their centre of `input_size`
    pixels, lose the mean image, (stored_size, stored_size, 3) in 0..255, and are divided.
    """

    square: Square
    stored_size: int
    input_size: int
    mean: NDArray[np.float32]
    divide_pixels_by: float

    @classmethod
    def of(cls, classifier: Classifier) -> "PreprocessingSteps":
        """Returns the preprocessing that a network expects."""
        sizes = classifier.stored_size, classifier.model.input_size
        return cls(classifier.square, *sizes, classifier.mean, classifier.divide_pixels_by)

    @property
    def view(self) -> slice:
        """The rows of the square that the centre view covers; the columns are the same."""
        start = margin(self.stored_size, self.input_size)
        return slice(start, start + self.input_size)

    @property
    def mean_of_view(self) -> NDArray[np.float32]:
        """The mean image where the centre view lies, (input_size, input_size, 3)."""
        return np.ascontiguousarray(self.mean[self.view, self.view])

    def describe(self) -> dict[str, str | float]:
        """Returns the preprocessing in words and numbers, for people who do it themselves."""
        return {
            "pixels": "RGB, 0..255",
            "square": RULES[self.square].format(size=self.stored_size),
            "view": f"centre {self.input_size} of {self.stored_size}, {self.view.start} from the top and left",
            "mean": f"per pixel, subtracted; mean colour {', '.join(f'{v:.3f}' for v in self.mean.mean((0, 1)))}",
            "divide_pixels_by": self.divide_pixels_by,
        }

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns the network's input, (N, 3, S, S), for stored pictures, (N, stored_size, stored_size, 3)."""
        (draws,) = views(len(pictures), 1, self.stored_size, self.input_size, self.divide_pixels_by)
        images = augment(pictures, draws, torch.from_numpy(self.mean), self.input_size, torch.float32)
        return np.ascontiguousarray(images.numpy())

    def tensors(self, pictures: Tensor) -> Tensor:
        """Returns the same in tensor operations, for stored pictures, uint8 (N, stored_size, stored_size, 3)."""
        images = pictures[:, self.view, self.view].float() - torch.from_numpy(self.mean_of_view)
        return (images / self.divide_pixels_by).permute(0, 3, 1, 2)


Notes = Mapping[str, str]
"""Metadata of a file: names and text."""


class Engine(NamedTuple):
    """A runtime that holds an exported network: its name with its version, and the function to (N, C) probabilities."""

    name: str
    run: Callable[[Input], NDArray[np.float32]]


Build = Callable[[Network, PreprocessingSteps | None, Notes], bytes]
"""Translates a network in evaluation mode, with the preprocessing to do inside, into the contents of a file."""


class Folder(NamedTuple):
    """How a format becomes a folder rather than a file."""

    # returns the runtime's files, name -> content, from a folder or, for None, from where they are published
    fetch: Callable[[Path | None], dict[str, bytes]]
    # makes the folder of the contents of a file and the runtime's files; returns the bytes of all its files
    write: Callable[[Path, bytes, Classifier, dict[str, bytes]], int]


@dataclass(frozen=True)
class Format:
    """A format for another runtime."""

    name: str
    suffix: str  # the end of the name of its files
    builds: Mapping[str, Build]  # way to normalise -> how a file is built; the first is the default
    engine: Callable[[bytes], Engine]  # loads the contents of a file
    needs: tuple[str, ...] = ()  # the packages that building and loading need
    networks: type[Network] = AlexNet  # the class of the networks that can be translated
    opset: int | None = None  # the version of ONNX's operators
    takes_pictures: bool = False  # whether files always preprocess
    resizes: bool = True  # whether files that preprocess take pictures of any size, rather than stored ones
    quantise: Callable[[bytes, Iterable[Input]], bytes] | None = None  # to 8-bit integers, calibrated on batches
    round: Callable[[bytes], bytes] | None = None  # to 8-bit weights, of every file that is not quantised
    folder: Folder | None = None  # what makes a folder of a file; None writes the file itself
