"""Convolution whose gradient of the weights fills the processor's tiles.

Processors with AMX multiply bf16 in tiles, 32 terms deep. For the gradient of the weights oneDNN fills them from a row
of the map: rows of 3 pixels leave nine tenths of a tile empty, and the three channels of a picture leave most of it
unused as well. The same sums come out several times as fast if narrow maps lie side by side, and if the pixels that a
stride steps over become channels.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from alexnet import machine

NARROW, ABREAST = 8, 16
"""Below this width, pixels, up to so many maps are laid side by side; at 11 pixels nothing is gained."""


class Convolution(nn.Conv2d):
    """A square `torch.nn.Conv2d`, which learns in less time where a CPU with tiles trains it in bf16."""

    def forward(self, images: Tensor) -> Tensor:
        """Returns the maps, (N, C', H', W'), of images or maps, (N, C, H, W)."""
        is_learning = torch.is_grad_enabled() and self.weight.requires_grad and images.device.type == "cpu"
        is_bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        if is_learning and is_bf16 and machine.has_tiles():
            images, weight = images.bfloat16(), self.weight.bfloat16()  # as autocast would
            bias = None if self.bias is None else self.bias.bfloat16()
            return _Tiled.apply(images, weight, bias, self.stride[0], int(self.padding[0]), self.groups)  # type: ignore[no-any-return, no-untyped-call]
        return super().forward(images)


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, groups: int
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.form = stride, padding, groups
        return nn.functional.conv2d(images, weight, bias, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx: Any, slopes: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        stride, padding, groups = ctx.form
        of_images = None
        if ctx.needs_input_grad[0]:
            of_images, _, _ = _gradients(slopes, images, weight, stride, (padding, padding), groups, (True, False))
        of_weight, of_bias = of_weights(slopes, images, weight, *ctx.form)
        return of_images, of_weight, of_bias if ctx.needs_input_grad[2] else None, None, None, None


def of_weights(
    slopes: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int, groups: int
) -> tuple[Tensor, Tensor]:
    """Returns the gradient of the weights, of their shape, and of the biases.

    `slopes` are the gradient of the maps, (N, C', H', W'); `images` are what the convolution saw, (N, C, H, W).
    """
    window, count, edges = weight.shape[3], math.gcd(len(images), ABREAST), (padding, padding)
    if stride > 1 and groups == 1:
        blocks = -(-window // stride)
        folded = fold(images, stride, padding, slopes.shape[3] + blocks - 1)
        like = weight.new_empty(len(weight), folded.shape[1], blocks, blocks)
        _, of_weight, of_bias = _gradients(slopes, folded, like, 1, (0, 0), 1, (False, True))
        apart = of_weight.view(len(weight), stride, stride, -1, blocks, blocks).permute(0, 3, 4, 1, 5, 2)
        return apart.flatten(4, 5).flatten(2, 3)[:, :, :window, :window], of_bias
    if stride == 1 and slopes.shape[3] < NARROW and count > 1:
        step = images.shape[3] + padding
        images = abreast(images, count, step, before=padding, after=window - 1 - padding)
        slopes, edges = abreast(slopes, count, step), (padding, 0)
    _, of_weight, of_bias = _gradients(slopes, images, weight, stride, edges, groups, (False, True))
    return of_weight, of_bias


def fold(images: Tensor, stride: int, padding: int, side: int) -> Tensor:
    """Returns images in zeros, (N, stride^2 C, side, side): a block of pixels, `stride` wide, becomes channels."""
    whole, seen = stride * side, min(images.shape[3], stride * side - padding)
    canvas = images.new_zeros(len(images), whole, whole, images.shape[1])
    canvas[:, padding : padding + seen, padding : padding + seen] = images[:, :, :seen, :seen].permute(0, 2, 3, 1)
    blocks = canvas.view(len(images), side, stride, side, stride, -1)
    return blocks.transpose(2, 3).flatten(3, 5).permute(0, 3, 1, 2)


def abreast(maps: Tensor, count: int, step: int, before: int = 0, after: int = 0) -> Tensor:
    """Returns `count` maps of (N, C, H, W) side by side, (N / count, C, H, count * step + before + after).

    Each begins `step` columns after the last; what is between, `before` and `after` them is 0.
    """
    (_, channels, height, width), rows = maps.shape, count * step
    canvas = maps.new_zeros(len(maps) // count, height, before + rows + after, channels)
    places = canvas[:, :, before : before + rows].view(-1, height, count, step, channels)
    places[:, :, :, :width] = maps.permute(0, 2, 3, 1).view(-1, count, height, width, channels).transpose(1, 2)
    return canvas.permute(0, 3, 1, 2)


def _gradients(
    slopes: Tensor,
    images: Tensor,
    weight: Tensor,
    stride: int,
    padding: Sequence[int],
    groups: int,
    wanted: tuple[bool, bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of images, and of weights and biases, as far as they are wanted."""
    form = [len(weight)], (stride, stride), padding, (1, 1), False, (0, 0), groups
    return torch.ops.aten.convolution_backward(slopes, images, weight, *form, (*wanted, wanted[1]))  # type: ignore[no-any-return]
