"""A network as the lecture's page reads it: a list of its layers, and its tensors in one stream of few bytes.

A tensor of at most 256 values besides zero, as every one of a compressed network, keeps each of them exactly: a
codebook, a byte for each weight that is not zero, and the gaps between them. Of other networks, tensors of more than
`LARGE` numbers are rounded to 8 bits with a scale for each row, as `evaluation.quantise` does, and smaller ones to
float16. The whole is one zlib stream, which browsers unpack by themselves.
"""

import zlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from alexnet.evaluation.classifier import Classifier
from alexnet.models.alexnet import PadEnd
from alexnet.models.dropout import Dropout
from alexnet.models.fields import window_of
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import Network
from alexnet.models.summary import summarise
from alexnet.records import Record
from alexnet.weights import sparse

LARGE = 4_000_000

Coding = Literal["shared", "int8", "float16", "float32"]
Kind = Literal["pad", "conv", "local", "relu", "tanh", "norm", "same", "pool", "avg", "fc", "drop"]


class Layer(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A layer in the order of `Network.order`: what it computes, and its row of the layer table."""

    name: str
    kind: Kind
    shape: tuple[int, ...]  # of its output, for one picture
    parameters: int = 0
    macs: int = 0
    kernel: int = 0  # side of its windows
    stride: int = 1
    padding: int = 0
    groups: int = 1  # of channels, in a convolution
    ceil: bool = False  # whether a pooling window may hang over the edge
    size: int = 0  # size, alpha, beta, k, towers: of a normalisation
    alpha: float = 0.0
    beta: float = 0.0
    k: float = 0.0
    towers: int = 1
    scale: float = 1.0  # by which dropout multiplies at test time


class Part(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A tensor of the stream: its shape and coding; of shared values also how many there are, and how many symbols."""

    name: str
    shape: tuple[int, ...]
    coding: Coding
    values: int = 0
    kept: int = 0
    gaps: int = 0


def layers(model: Network) -> tuple[Layer, ...]:
    """Returns the layers of a network."""
    return tuple(
        _layer(getattr(model, row.name), row.name, row.output_shape, row.parameters, row.macs)
        for row in summarise(model)
    )


def tensors(classifier: Classifier) -> tuple[tuple[Part, ...], bytes]:
    """Returns a network's tensors and its mean image as entries of a stream, and the stream."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in classifier.model.state_dict().items()}
    coded = [_coded(name, array) for name, array in {**arrays, "mean": classifier.mean}.items()]
    parts, contents = zip(*coded, strict=True)
    return parts, zlib.compress(b"".join(contents), 6)


def _layer(layer: nn.Module, name: str, shape: tuple[int, ...], parameters: int, macs: int) -> Layer:
    kind = "avg" if isinstance(layer, nn.AvgPool2d) else name.rstrip("0123456789")
    kind = "tanh" if isinstance(layer, nn.Tanh) else kind
    settings: dict[str, int | float | bool] = {}
    if isinstance(layer, LocalResponseNorm | SameMapNorm):
        settings = {"size": layer.size, "alpha": layer.alpha, "beta": layer.beta, "k": layer.k}
        settings["towers"] = getattr(layer, "towers", 1)
    elif isinstance(layer, Dropout):
        settings = {"scale": 1.0 if layer.rescale else 1 - layer.rate}
    elif isinstance(layer, PadEnd):
        settings = {"kernel": layer.kernel, "stride": layer.stride}
    elif kind in ("conv", "local", "pool", "avg"):
        kernel, stride, padding = window_of(layer)
        settings = {"kernel": kernel, "stride": stride, "padding": padding}
        settings["groups"] = getattr(layer, "groups", 1)
        settings["ceil"] = getattr(layer, "ceil_mode", False)
    return Layer(name=name, kind=kind, shape=shape, parameters=parameters, macs=macs, **settings)  # type: ignore[arg-type]


def _coded(name: str, array: NDArray[np.float32]) -> tuple[Part, bytes]:
    flat = array.reshape(-1)
    if array.ndim > 1:
        places = np.flatnonzero(flat)
        codebook, codes = np.unique(flat[places], return_inverse=True)
        if 1 <= len(codebook) <= sparse.VALUES:
            gaps = sparse.gap_symbols(places)
            counts = {"values": len(codebook), "kept": len(places), "gaps": len(gaps)}
            content = codebook.astype("<f4").tobytes() + codes.astype(np.uint8).tobytes() + gaps.tobytes()
            return Part(name=name, shape=array.shape, coding="shared", **counts), content
    if array.ndim == 1 or name == "mean":
        return Part(name=name, shape=array.shape, coding="float32"), array.astype("<f4").tobytes()
    if array.size <= LARGE:
        return Part(name=name, shape=array.shape, coding="float16"), array.astype("<f2").tobytes()
    rows = array.reshape(len(array), -1)
    scales = np.abs(rows).max(1, initial=1e-12) / 127
    numbers = np.rint(rows / scales[:, None]).astype(np.int8)
    return Part(name=name, shape=array.shape, coding="int8"), scales.astype("<f4").tobytes() + numbers.tobytes()
