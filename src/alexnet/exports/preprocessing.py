"""What happens to a picture before the network sees it, as the exported file has to do it."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.augment import augment, margin, views
from alexnet.evaluation.classifier import Classifier
from alexnet.records import Square

RULES: dict[Square, str] = {
    "centre": "centre square (offsets rounded down), resized by antialiased bilinear to {size}, rounded",
    "warp": "both sides resized by plain bilinear to {size}, without regard to shape, rounded down",
}


@dataclass(frozen=True)
class Preprocessing:
    """From RGB pictures to the network's input: square, resize, centre view, less the mean, divided.

    Attributes:
        square: How pictures become square.
        stored_size: Side of the square, pixels.
        input_size: Side of the network's input, pixels.
        mean: (stored_size, stored_size, 3) mean image, 0..255.
        divide_pixels_by: What pixels are divided by after the mean is subtracted.
    """

    square: Square
    stored_size: int
    input_size: int
    mean: NDArray[np.float32]
    divide_pixels_by: float

    @classmethod
    def of(cls, classifier: Classifier) -> "Preprocessing":
        """Returns the preprocessing of a network's pictures."""
        sizes = classifier.stored_size, classifier.model.input_size
        return cls(classifier.square, *sizes, classifier.mean, classifier.divide_pixels_by)

    @property
    def view(self) -> slice:
        """The rows of the square that the centre view covers, and the columns."""
        start = margin(self.stored_size, self.input_size)
        return slice(start, start + self.input_size)

    @property
    def mean_of_view(self) -> NDArray[np.float32]:
        """(input_size, input_size, 3): the mean image where the centre view lies."""
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
