"""Local response normalisation on a GPU: the kernel of lrn.h in Triton, one pass over memory in each direction.

A tensor is read as (outer, channels, inner), as there, and each tower stands by itself: contiguous, each tower of each
picture is a plane of `channels` rows; channels-last, the whole tensor is one long plane of lines of `channels` values.
A program holds all channels of a few pixels in registers, in float32 whatever the storage type, reads each value once
and writes each once. The window moves over the channels by `tl.gather` with indices known to the compiler, which it
turns into warp shuffles. Every sum has a fixed order: the same input gives the same bits.

Only `alexnet.native` imports this module, when a GPU first asks for it: it needs Triton, which may be missing.
"""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator, no-untyped-call"

import torch
import triton
import triton.language as tl
from torch import Tensor

from alexnet.native.interface import Normalisation

TILE = 2048  # values a program holds: 16 a thread


@triton.jit
def _window_sum(values: tl.tensor, channel: tl.tensor, channels: tl.constexpr, half: tl.constexpr) -> tl.tensor:
    """Adds to each channel, along axis 0, those that `half` reaches to both sides."""
    total = values
    for shift in tl.static_range(1, half + 1):
        before = tl.broadcast_to(tl.maximum(channel - shift, 0), values.shape)
        after = tl.broadcast_to(tl.minimum(channel + shift, channels - 1), values.shape)
        total += tl.where(channel >= shift, tl.gather(values, before, 0), 0.0)
        total += tl.where(channel + shift < channels, tl.gather(values, after, 0), 0.0)
    return total


@triton.jit
def _kernel(
    images: tl.tensor,
    gradient: tl.tensor | None,  # None: forwards
    out: tl.tensor,
    inner: tl.tensor,
    channel_stride: tl.tensor,
    inner_stride: tl.tensor,
    k: tl.tensor,
    alpha: tl.tensor,
    beta: tl.tensor,
    channels: tl.constexpr,
    half: tl.constexpr,
    three_quarters: tl.constexpr,
    rectify: tl.constexpr,
    height: tl.constexpr,  # channels, rounded up to a power of two
    width: tl.constexpr,
) -> None:
    tiles = tl.cdiv(inner, width)
    program = tl.program_id(0).to(tl.int64)
    outer, first = program // tiles, program % tiles * width
    channel, pixel = tl.arange(0, height)[:, None], tl.arange(0, width)[None, :]
    inside = (channel < channels) & (pixel < inner - first)
    start = outer * channels * inner + first * inner_stride
    at = start + channel.to(tl.int64) * channel_stride + pixel * inner_stride

    x = tl.load(images + at, inside, 0.0).to(tl.float32)
    if rectify:
        x = tl.where(x < 0, 0.0, x)  # NaN stays NaN
    root = tl.rsqrt(k + alpha * _window_sum(x * x, channel, channels, half))
    scale = root * tl.sqrt(root) if three_quarters else tl.exp2(2 * beta * tl.log2(root))  # of constants: one is built
    result = x * scale
    if gradient is not None:  # g_i s_i^-beta - 2 alpha beta x_i * (window sum over j of g_j x_j s_j^(-beta - 1))
        g = tl.load(gradient + at, inside, 0.0).to(tl.float32)
        shares = g * result * root * root
        result = g * scale - 2 * alpha * beta * x * _window_sum(shares, channel, channels, half)
        if rectify:
            result = tl.where(x == 0, 0.0, result)
    tl.store(out + at, result, inside)


def lrn(images: Tensor, gradient: Tensor | None, out: Tensor, settings: Normalisation) -> None:
    """Fills `out` with the normalised images or, given a gradient, with the gradient with respect to `images`.

    Images are (N, C, H, W), contiguous or channels-last, in float32, bfloat16 or float16; the others are like them.
    """
    size, alpha, beta, k, towers, rectify = settings
    channels, planes = images.shape[1] // towers, images.shape[2] * images.shape[3]
    lines = images.shape[0] * towers
    if images.is_contiguous(memory_format=torch.channels_last):
        outer, inner, strides = 1, lines * planes, (1, channels)
    else:
        outer, inner, strides = lines, planes, (planes, 1)
    height = triton.next_power_of_2(channels)
    width = max(TILE // height, 1)
    with torch.cuda.device_of(images):
        _kernel[(outer * triton.cdiv(inner, width),)](
            *[images, gradient, out, inner, *strides, k, alpha, beta],
            *[channels, size // 2, beta == 0.75, rectify, height, width],
        )
