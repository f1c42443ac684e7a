"""torchvision's `alexnet`: a state dict as safetensors, or as `torch.save` wrote it, before 2020 or since.

Since 2020 a `.pth` is a zip archive without compression: `data.pkl` describes the tensors, and `data/0`, `data/1`, ...
hold their numbers. Earlier it is five pickles (a magic number, a version, facts of the machine, the object, the names
of the storages) and then, for each storage, a count and the numbers. Both are read by `pickles`, not by `torch.load`,
whose restricted reader was broken twice (CVE-2025-32434, CVE-2026-24747).

Source: torch/serialization.py; torchvision/models/alexnet.py.
"""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import ZIP_STORED, ZipInfo

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from alexnet import pickles
from alexnet.data.imagenet import WORDNET
from alexnet.errors import CheckpointError
from alexnet.foreign import imported
from alexnet.foreign.imported import Dialect, Imported
from alexnet.models.variants import LAYERS
from alexnet.pickles import Inert, PickleError, UnknownName

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of the older format
MAX_DESCRIPTION = 4 << 20  # bytes of `data.pkl`; that of a state dict has two thousand, with an optimiser's twenty

# Every network of torchvision expects RGB in [0, 1] less this mean, divided by these deviations.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

DIALECT = Dialect(class_order=WORDNET, mean_colour=(255 * MEAN[0], 255 * MEAN[1], 255 * MEAN[2]))

_MODULES = [*(f"features.{i}" for i in (0, 3, 6, 8, 10)), *(f"classifier.{i}" for i in (1, 4, 6))]
THEIRS = dict(zip(LAYERS, _MODULES, strict=True))  # our layer -> torchvision's module

# The modules that DistributedDataParallel, torch.compile and trainers put around the network or parts of it.
_WRAPPERS = {"module", "_orig_mod", "model"}

_STORAGES = {
    **{"FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool},
}


# What training scripts save beside the weights, such as torchvision's own: their arguments and paths. None is built.
_BESIDE = (
    *("argparse.Namespace", "collections.Counter", "collections.defaultdict"),
    *(f"{module}.{name}" for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")),
)


@dataclass(frozen=True)
class _Storage:
    dtype: torch.dtype
    key: str


@dataclass(frozen=True)
class _Tensor:
    """A tensor as `data.pkl` describes it; its numbers lie elsewhere in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read(name: str, tensors: dict[str, Tensor], variant: str | None) -> Imported:
    """Returns the network of tensors that `read_safetensors`, `read_zip` or `read_older` has read."""
    dimensions = [tensor.dim() for key, tensor in tensors.items() if key.endswith("weight")]
    imported.check_counts(name, dimensions.count(4), dimensions.count(2))
    names = {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in THEIRS.items() for part in ("weight", "bias")}
    odd = sorted(names.values() ^ tensors.keys())
    if odd:
        verb = "holds" if odd[0] in tensors else "lacks"
        raise CheckpointError(f"{name} {verb} {odd[0]}; torchvision's alexnet has {', '.join(THEIRS.values())}")
    ours = {key: tensors[theirs].float() for key, theirs in names.items()}
    outline = imported.outline_of_shapes(name, {key: tuple(tensor.shape) for key, tensor in ours.items()})
    outline = replace(outline, block1="conv relu pool", head="drop fc relu", conv1_padding="both")
    # A file of ours has one divisor for all channels, so conv1 takes over the rest.
    divide_pixels_by = 255 * DEVIATION[2]
    factors = torch.tensor([DEVIATION[2] / deviation for deviation in DEVIATION])
    ours["conv1.weight"] = ours["conv1.weight"] * factors[:, None, None]
    return Imported(
        dialect=DIALECT,
        format="torchvision",
        variant=imported.identify(name, outline, variant),
        tensors=ours,
        mapping={layer: f"{THEIRS[layer]} {tuple(tensors[THEIRS[layer] + '.weight'].shape)}" for layer in LAYERS},
        mean=np.array(MEAN, np.float32) * 255,
        divide_pixels_by=divide_pixels_by,
        translated=(
            f"pixels: the division by 255 and by the deviations {DEVIATION} is a division by {divide_pixels_by:g} and, "
            "for red and green, a factor in conv1's weights",
        ),
        unknown=("how its pictures were normalised: torchvision's mean and deviations were taken",),
    )


def read_safetensors(name: str, path: Path) -> dict[str, Tensor]:
    """Returns the tensors of a safetensors file."""
    try:
        with safe_open(path, "pt") as file:
            if "alexnet" in (file.metadata() or {}):
                raise CheckpointError(f"{name} is a weight file of alexnet already: use it as it is")
            return _unwrapped({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{name} is not a whole safetensors file: {error}") from error


def read_zip(name: str, data: memoryview, members: list[ZipInfo]) -> dict[str, Tensor]:
    """Returns the tensors of a `.pth` that is a zip archive, as views of it."""
    places: dict[str, memoryview] = {}
    for member in members:
        if member.compress_type != ZIP_STORED or member.file_size != member.compress_size:
            raise CheckpointError(
                f"{name}: {member.filename[:80]} is compressed, which torch.save never does; not read"
            )
        head = data[member.header_offset : member.header_offset + 30]
        if len(head) < 30:
            raise CheckpointError(f"{name} is damaged: {member.filename[:80]} lies beyond its end; fetch it again")
        start = member.header_offset + 30 + sum(struct.unpack("<HH", head[26:30]))
        places[member.filename.partition("/")[2]] = data[start : start + member.file_size]
    description = places.get("data.pkl", data[:0])
    if len(description) > MAX_DESCRIPTION:
        raise CheckpointError(f"{name}: data.pkl has {len(description):,} bytes; a network's has a few thousand")
    with _plain_errors(name):
        value, _ = pickles.read(description, names=_NAMES, persistent=_storage)
        return _state(value, lambda key: places.get(f"data/{key}", data[:0]))


def read_older(name: str, data: memoryview) -> dict[str, Tensor]:
    """Returns the tensors of a `.pth` of before 2020, as views of it."""
    with _plain_errors(name):
        at, values = 0, []
        for _ in range(5):
            value, length = pickles.read(data[at:], names=_NAMES, persistent=_storage)
            at += length
            values.append(value)
        places, sizes = {}, {t.storage.key: t.storage for t in _tensors_in(values[3])}
        for key in values[4] if isinstance(values[4], list) else []:
            if not isinstance(key, str) or key not in sizes:
                raise PickleError("a storage that no tensor refers to")
            (count,) = struct.unpack("<q", data[at : at + 8])
            end = at + 8 + count * sizes[key].dtype.itemsize
            if not count >= 0 or end > len(data):
                raise PickleError(f"a storage of {count:,} numbers, of which the file holds fewer")
            places[key], at = data[at + 8 : end], end
        return _state(values[3], lambda key: places.get(key, data[:0]))


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """Turns the errors of a damaged pickle into one line."""
    try:
        yield
    except UnknownName as error:
        raise CheckpointError(
            f"{name} holds more than weights, perhaps a whole model ({error}), whose code is not run: load it where it "
            "was made, and save model.state_dict()"
        ) from error
    except (PickleError, struct.error) as error:
        raise CheckpointError(f"{name} is no checkpoint that can be read: {error}") from error


def _storage(identity: object) -> _Storage:
    """Source: `persistent_id` of torch/serialization.py: ("storage", type, key, location, numbers, ...)."""
    match identity:
        case tuple([_, torch.dtype() as dtype, str(key), *_]):
            return _Storage(dtype, key)
    raise PickleError("a damaged storage")


def _rebuild(storage: object, offset: object, shape: object, stride: object, *_: object) -> _Tensor:
    if not isinstance(storage, _Storage) or not isinstance(offset, int):
        raise PickleError("a damaged tensor")
    if not isinstance(shape, tuple) or not isinstance(stride, tuple) or not len(shape) == len(stride) <= 8:
        raise PickleError("a damaged tensor")
    if not all(isinstance(number, int) and 0 <= number < 1 << 40 for number in (offset, *shape, *stride)):
        raise PickleError("a tensor of impossible shape")
    return _Tensor(storage, offset, shape, stride)


_NAMES: dict[str, object] = {
    **pickles.PLAIN,
    **{f"torch.{name}": dtype for name, dtype in _STORAGES.items()},
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
    "torch.Size": tuple,
    "torch.device": lambda *_: Inert("torch.device"),
    **{name: Inert(name) for name in _BESIDE},
}


def _state(value: object, place: Callable[[str], memoryview]) -> dict[str, Tensor]:
    """Returns the tensors of the state dict in a saved object; `place` returns the bytes of a storage."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    if not isinstance(value, dict):
        raise PickleError(f"it holds a {type(value).__name__}, expected a state dict")
    return _unwrapped({str(key): _filled(each, place) for key, each in value.items() if isinstance(each, _Tensor)})


def _tensors_in(value: object) -> Iterator[_Tensor]:
    """Yields the tensors in dicts, lists and tuples, and enters each of these once, however often it is referred to."""
    entered, waiting = set(), [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, _Tensor):
            yield value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in entered:
            entered.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value


def _filled(tensor: _Tensor, place: Callable[[str], memoryview]) -> Tensor:
    data, dtype = place(tensor.storage.key), tensor.storage.dtype
    last = tensor.offset + sum((side - 1) * step for side, step in zip(tensor.shape, tensor.stride, strict=True))
    # Strides of 0 can make more numbers of a few than memory holds, so the product of the sides counts too.
    count = max(last + 1, math.prod(tensor.shape))
    if 0 in tensor.shape or count * dtype.itemsize > len(data):
        raise PickleError(f"a tensor of shape {tensor.shape} in a storage of {len(data):,} bytes")
    numbers = torch.frombuffer(data, dtype=dtype, count=last + 1)
    return numbers.as_strided(tensor.shape, tensor.stride, tensor.offset)


def _unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        ".".join(part for part in key.split(".") if part not in _WRAPPERS): tensor for key, tensor in tensors.items()
    }
