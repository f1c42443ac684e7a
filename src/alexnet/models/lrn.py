"""Local response normalisation: the layer that made AlexNet slow everywhere else.

    b_i = a_i / (k + alpha * sum of a_j^2)^beta,   j from i - size // 2 to i + size // 2, cut off at the edges

`alpha` multiplies the plain sum, as in the paper (section 3.3) and TensorFlow. Caffe, torch, ONNX and
cuda-convnet's configuration files divide by the window first: their alpha is `size` times ours.

Three ways to compute it: `reference`, the equation as loops, which judges the other two; `decomposed`, in plain
tensor operations, for any device, export and double differentiation; and the native kernel, one pass over memory
forwards and one backwards, which `local_response_norm` takes whenever it can.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet import native
from alexnet.errors import UsageError


def reference(images: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Tensor:
    """Returns what `local_response_norm` does, by the equation in plain loops over channels."""
    channels = images.shape[1]
    normalised = torch.empty_like(images)
    for i in range(channels):
        total = torch.zeros_like(images[:, 0])
        for j in range(max(0, i - size // 2), min(channels - 1, i + size // 2) + 1):
            total += images[:, j] ** 2
        normalised[:, i] = images[:, i] / (k + alpha * total) ** beta
    return normalised


def decomposed(images: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0) -> Tensor:
    """Returns the same by tensor operations, in float32 at least; differentiable any number of times."""
    wide, half, channels = _wide(images), size // 2, images.shape[1]
    squares = F.pad(wide * wide, (0, 0, 0, 0, half, half))
    total = squares[:, :channels]
    for shift in range(1, size):
        total = total + squares[:, shift : shift + channels]
    return (wide * (k + alpha * total) ** -beta).to(images.dtype)


def local_response_norm(
    images: Tensor,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    towers: int = 1,
    rectify: bool = False,
) -> Tensor:
    """Normalises each channel by its neighbours, the fastest way at hand.

    Args:
        images: (N, C, H, W), contiguous or channels-last; the result has the same layout.
        size: Channels in the window; odd.
        alpha: Factor of the sum of squares.
        beta: Exponent.
        k: Constant added to the sum.
        towers: Separate channel ranges; a window never reaches from one into the next.
        rectify: Normalise max(images, 0): the ReLU before it, at no cost.

    Returns:
        (N, C, H, W), same type. Computed in float32 inside (float64 for float64).

    Raises:
        UsageError: `size` is even, or the channels cannot be divided evenly among the towers.

    Source: paper section 3.3; seams between towers: facts of the 2012 source, one `cmrnorm` a tower.
    """
    _check(size, images.shape[1], towers)
    if native.can_run(images, size):
        settings = native.Normalisation(size, alpha, beta, k, towers, rectify)
        return _Native.apply(images, settings)  # type: ignore[no-any-return, no-untyped-call]
    return _plain(images, size, alpha, beta, k, towers, rectify)


def _wide(images: Tensor) -> Tensor:
    return images.float() if images.dtype in (torch.bfloat16, torch.float16) else images


def _plain(images: Tensor, size: int, alpha: float, beta: float, k: float, towers: int, rectify: bool) -> Tensor:
    images = F.relu(images) if rectify else images
    normalised = [decomposed(part, size, alpha, beta, k) for part in images.chunk(towers, 1)]
    return normalised[0] if towers == 1 else torch.cat(normalised, 1)


def _check(size: int, channels: int = 0, towers: int = 1) -> None:
    if size % 2 == 0 or size < 1:
        raise UsageError(f"the window of local response normalisation must be odd, got size {size}")
    if channels % towers:
        raise UsageError(f"{channels} channels cannot be shared evenly by {towers} towers")


class _Native(torch.autograd.Function):
    """The kernel, or the plain form where it fails; a second derivative goes through the plain form."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, settings: native.Normalisation) -> Tensor:
        ctx.save_for_backward(images)
        ctx.settings = settings
        out = native.lrn(images, None, settings)
        return _plain(images, *settings) if out is None else out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (images,) = ctx.saved_tensors
        out, twice = None, torch.is_grad_enabled()  # create_graph=True
        if not twice:
            out = native.lrn(images, gradient, ctx.settings)
        if out is None:
            with torch.enable_grad():
                (out,) = torch.autograd.grad(_plain(images, *ctx.settings), images, gradient, create_graph=twice)
        return out, None


class LocalResponseNorm(nn.Module):
    """`local_response_norm` as a layer, with the same settings.

    Raises:
        UsageError: `size` is even; frameworks disagree on which side such a window leans to.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0, towers: int = 1) -> None:
        super().__init__()
        _check(size)
        self.size, self.alpha, self.beta, self.k, self.towers = size, alpha, beta, k, towers

    def forward(self, images: Tensor, rectify: bool = False) -> Tensor:
        """Returns the normalised images, of max(images, 0) where `rectify` is set; same shape."""
        return local_response_norm(images, self.size, self.alpha, self.beta, self.k, self.towers, rectify)

    def extra_repr(self) -> str:
        """Shows the constants in the network's printout."""
        return f"size={self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}, towers={self.towers}"


class SameMapNorm(nn.Module):
    """The 2012 source's extra normalisation after norm2: over a square of positions within one channel.

    b = a / (k + alpha * sum of a^2 over a size x size square)^beta, zeros outside the picture.

    Source: `cnorm2a/b` (type `rnorm`, scale 0.001 / 25, constant 1) of layers-145.cfg; not in the paper.
    """

    def __init__(self, size: int = 5, alpha: float = 4e-5, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, images: Tensor) -> Tensor:
        """Returns the normalised images; same shape."""
        wide = _wide(images)
        mean = F.avg_pool2d(wide * wide, self.size, 1, self.size // 2)
        scale = (self.k + self.alpha * self.size**2 * mean) ** -self.beta
        return (wide * scale).to(images.dtype)
