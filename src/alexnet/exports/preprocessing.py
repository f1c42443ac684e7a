"""What happens to a picture before the network sees it, as the exported file has to do it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alexnet.data.augment import augment, margin
from alexnet.data.views import views
from alexnet.evaluation.classifier import Classifier

RULES = {
    "centre": "centre square (offsets rounded down), resized by antialiased bilinear to {size}, rounded",
    "warp": "both sides resized by plain bilinear to {size}, without regard to shape, rounded down",
}


@dataclass(frozen=True)
class Preprocessing:
    """From RGB pictures to the network's input: square, resize, centre view, less the mean, divided.

    Attributes:
        square: `centre` or `warp`, as in `data.squares`.
        stored_size: Side of the square, pixels.
        input_size: Side of the network's input, pixels.
        mean: (stored_size, stored_size, 3) mean image, 0..255.
        divide_pixels_by: What pixels are divided by after the mean is subtracted.
    """

    square: str
    stored_size: int
    input_size: int
    mean: NDArray[np.float32]
    divide_pixels_by: float

    @property
    def margin(self) -> int:
        """Pixels of the square above and left of the centre view."""
        return margin(self.stored_size, self.input_size)

    @property
    def mean_of_view(self) -> NDArray[np.float32]:
        """(input_size, input_size, 3): the mean where the centre view lies."""
        view = slice(self.margin, self.margin + self.input_size)
        return np.ascontiguousarray(self.mean[view, view])

    def describe(self) -> dict[str, Any]:
        """Gives it as JSON values."""
        return {
            "pixels": "RGB, 0..255",
            "square": RULES[self.square].format(size=self.stored_size),
            "view": f"centre {self.input_size} of {self.stored_size}, {self.margin} from the top and left",
            "mean": f"per pixel, subtracted; mean colour {', '.join(f'{v:.3f}' for v in self.mean.mean((0, 1)))}",
            "divide_pixels_by": self.divide_pixels_by,
        }

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Gives the network's input, (N, 3, S, S), of stored pictures, (N, stored_size, stored_size, 3)."""
        (draws,) = views(len(pictures), 1, self.stored_size, self.input_size, self.divide_pixels_by)
        images = augment(pictures, draws, torch.from_numpy(self.mean), self.input_size, torch.float32)
        return np.ascontiguousarray(images.numpy())

    def tensors(self, pictures: Tensor) -> Tensor:
        """Gives it in tensor operations, of stored pictures uint8 (N, stored_size, stored_size, 3)."""
        view = slice(self.margin, self.margin + self.input_size)
        images = pictures[:, view, view].float() - torch.from_numpy(self.mean_of_view)
        return (images / self.divide_pixels_by).permute(0, 3, 1, 2)


def preprocessing(classifier: Classifier) -> Preprocessing:
    """Gives the preprocessing of a network's pictures."""
    return Preprocessing(
        classifier.square,
        classifier.stored_size,
        classifier.model.input_size,
        classifier.mean,
        classifier.divide_pixels_by,
    )
