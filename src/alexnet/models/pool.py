"""Max pooling: PyTorch's layer, by the compiled kernel where nothing is trained."""

import torch
from torch import Tensor, nn

from alexnet import native


class MaxPool(nn.MaxPool2d):
    """PyTorch's layer, with square windows and no padding.

    PyTorch's own pass also writes where each largest value lay, in eight bytes, which only a gradient needs.
    """

    def __init__(self, window: int, stride: int, ceil_mode: bool = False) -> None:
        super().__init__(window, stride, ceil_mode=ceil_mode)
        self.window, self.step = window, stride

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, C, H', W'); the same bits either way."""
        if torch.is_grad_enabled() or native.on_gpu(images) or not native.can_run(images) or not self._fits(images):
            return super().forward(images)  # type: ignore[no-any-return]
        rows, columns = (self._places(side) for side in images.shape[2:])
        return native.max_pool(images, self.window, self.step, rows, columns)

    def _fits(self, images: Tensor) -> bool:
        """Returns whether images lie as the kernel reads them and hold a window."""
        is_last = images.dim() == 4 and images.is_contiguous(memory_format=torch.channels_last)
        return is_last and min(images.shape[2:]) >= self.window

    def _places(self, side: int) -> int:
        """Returns the windows along a side."""
        room = side - self.window
        return 1 + (-(-room // self.step) if self.ceil_mode else room // self.step)
