"""Where on a picture a network finds a class: three ways to draw a map.

Every map is (side, side) float32 at the resolution of the network's input, larger where the class depends on the
picture more. All ask for the *evidence* of a class: its logarithmic odds, log p - log (1 - p), which do not saturate as
probabilities do.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from alexnet import machine
from alexnet.errors import UsageError
from alexnet.models.network import Network

Method = Literal["occlusion", "gradcam", "gradient"]
Fill = Literal["mean", "blur", "gray"]

Answer = Callable[[Tensor], Tensor]

TOGETHER = 64
"""Covered copies of a picture that go through the network at a time."""


def evidence(logits: Tensor, label: int | Tensor) -> Tensor:
    """Returns the logarithmic odds of a class, or of a class for each row, (N,), of logits (N, C)."""
    own = torch.as_tensor(label).expand(len(logits))[:, None]
    return logits.gather(1, own)[:, 0] - logits.scatter(1, own, -torch.inf).logsumexp(1)


def occlusion(
    model: Answer, image: Tensor, label: int, fill: Tensor, *, side: int | None = None, stride: int | None = None
) -> Tensor:
    """Covers the picture with a square at one place after another; where the evidence falls most, the class is.

    A pixel's value is the mean fall over the squares that cover it.

    Args:
        model: Gives logits (N, C) of images (N, 3, S, S); a network in evaluation mode.
        image: (3, S, S), preprocessed.
        label: The class.
        fill: What the square shows, (3, S, S), preprocessed; zeros are the mean image.
        side: Side of the square, pixels; None takes a seventh of the input, 32 of 227.
        stride: Pixels from square to square; None takes a quarter of the side, 8 of 32.

    Source: Zeiler and Fergus 2014, section 4.2, who cover with gray and show the probability itself.
    """
    size = image.shape[-1]
    side = max(2, round(size / 7)) if side is None else side
    stride = max(1, side // 4) if stride is None else stride
    # Squares reach over the edges, so that pixels there are covered as often as others.
    starts = range(stride - side, size, stride)
    places = [(top, left) for top in starts for left in starts]
    whole = evidence(model(image[None]), label)
    falls, times = torch.zeros(size, size), torch.zeros(size, size)
    for first in range(0, len(places), TOGETHER):
        some = places[first : first + TOGETHER]
        squares = [(slice(max(0, top), top + side), slice(max(0, left), left + side)) for top, left in some]
        covered = image.repeat(len(some), 1, 1, 1)
        for copy, (rows, columns) in zip(covered, squares, strict=True):
            copy[:, rows, columns] = fill[:, rows, columns]
        for fall, square in zip((whole - evidence(model(covered), label)).tolist(), squares, strict=True):
            falls[square] += fall
            times[square] += 1
    return falls / times


def grad_cam(model: Network, image: Tensor, label: int) -> Tensor:
    """Returns the map of one image, as `grad_cams` does."""
    return grad_cams(model, image[None], torch.tensor([label]))[0]


def grad_cams(model: Network, images: Tensor, labels: Tensor) -> Tensor:
    """Returns maps (N, S, S) of images (N, 3, S, S), preprocessed, for a class each, (N,).

    Weighs the maps of the last convolution by how the evidence grows with each, and keeps what speaks for the class.

    The map is small (13 x 13 at 227 pixels) and enlarged linearly.

    Source: Selvaraju et al. 2017.
    """
    last = [name for name in model.order if name.startswith("conv")][-1]
    layer = f"relu{last.removeprefix('conv')}"
    with torch.enable_grad():
        outputs = model.activations(images, layer, model.order[-1])
        maps = outputs[layer]
        (slopes,) = torch.autograd.grad(evidence(outputs[model.order[-1]], labels).sum(), maps)
    small = (slopes.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True).relu().detach()
    return F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False)[:, 0]


def gradient(model: Network, image: Tensor, label: int) -> Tensor:
    """Returns how strongly the evidence changes with each pixel, the largest of its three colours.

    Source: Simonyan, Vedaldi and Zisserman 2014, section 3.
    """
    with torch.enable_grad():
        pixels = image[None].clone().requires_grad_()
        (slopes,) = torch.autograd.grad(evidence(model(pixels), label).sum(), pixels)
    return slopes[0].abs().amax(0)


def cover(kind: Fill, image: Tensor, gray: Tensor) -> Tensor:
    """Returns what squares of `occlusion` show: the mean image, the picture itself out of focus, or gray.

    Args:
        kind: Which of the three.
        image: (3, S, S), preprocessed.
        gray: A picture of middle gray, preprocessed, (3, S, S).
    """
    if kind == "mean":
        return torch.zeros_like(image)
    return gray if kind == "gray" else _blurred(image)


def _blurred(image: Tensor) -> Tensor:
    """Returns an image (3, S, S) out of focus, by a bell whose deviation is a twentieth of its side."""
    size = image.shape[-1]
    deviation = size / 20
    reach = int(3 * deviation)
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    bell = (bell / bell.sum()).expand(3, 1, 1, -1)
    wide = F.conv2d(F.pad(image[None], (reach, reach, 0, 0), "replicate"), bell, groups=3)
    return F.conv2d(F.pad(wide, (0, 0, reach, reach), "replicate"), bell.transpose(2, 3), groups=3)[0]


def _fast(model: Network) -> Answer:
    """Returns the network in bf16 where the machine has it, but for the last layer: logits in bf16 would be coarse.

    Its weights are converted once; autocast, which gives the same bits, converts them again for each batch.
    """
    if not machine.has_bf16():
        return model
    small, last = deepcopy(model).bfloat16(), getattr(model, model.order[-1])

    def answer(images: Tensor) -> Tensor:
        logits: Tensor = last(small.before_head(images.bfloat16()).float())
        return logits

    return answer


Draw = Callable[[Network, Tensor, int], Tensor]


def drawer(method: Method, fill: Callable[[Tensor], Tensor], coarse: bool = False) -> Draw:
    """Returns the function (model, image, label) that draws a map by a method.

    Occlusion covers with what `fill` makes of the image, and where `coarse`, at half as many places in each direction.
    """
    if method == "gradcam":
        return grad_cam
    if method == "gradient":
        return gradient
    if method != "occlusion":
        raise UsageError(f"no method {method!r}; there are occlusion, gradcam, gradient")

    def covered(model: Network, image: Tensor, label: int) -> Tensor:
        side = max(2, round(image.shape[-1] / 7))
        stride = max(1, side // (2 if coarse else 4))
        with torch.inference_mode():
            return occlusion(_fast(model), image, label, fill(image), side=side, stride=stride)

    return covered
