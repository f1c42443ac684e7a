"""Weight files: safetensors, with what it takes to use them in the header.

A file holds the network's parameters under their layers' names (`conv1.weight` ...), the mean image, and for
resuming the momentum of each parameter (`momentum.conv1.weight` ...). The entry `alexnet` of its metadata is a JSON
object: network, classes, preprocessing, where it came from, a checksum of the tensors, and the outputs of `evidence`.
"""

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from alexnet import records
from alexnet.errors import CheckpointError, UsageError
from alexnet.files import replacing
from alexnet.models.create import build
from alexnet.models.network import Network
from alexnet.records import Header
from alexnet.weights import evidence

MOMENTUM = "momentum."
MEAN = "mean_image"
LARGEST = 4096  # side of a mean image, pixels


@dataclass(frozen=True)
class Checkpoint:
    """A network in evaluation mode, its mean image (S, S, 3), 0..255, and in a file to resume from its momentum."""

    model: Network
    mean: NDArray[np.float32]
    momentum: dict[str, Tensor]
    header: Header


def save(
    path: Path,
    model: Network,
    mean: NDArray[np.float32],
    header: Header,
    momentum: dict[str, Tensor] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> None:
    """Writes a weight file, whole or not at all.

    Args:
        path: The file.
        model: The network.
        mean: (S, S, 3) mean image, 0..255.
        header: Its network, checksum and probe are replaced by those of what is written.
        momentum: Parameter name -> momentum, for a file to resume from. Such a file carries no probe, because it is
            written often and only `train` reads it again.
        weights: Parameter name -> weights to write instead of the network's own.

    Raises:
        DataError: The disk is full.
    """
    weights = model.state_dict() if weights is None else weights
    tensors = {name: _float32(tensor) for name, tensor in weights.items()}
    header, probe = structs.replace(header, network=asdict(model.design)), None
    if not momentum:
        # The model itself may be in training, or cut in parts, so the probe asks the network that `load` will build.
        built = blank(header, path)
        built.load_state_dict(tensors, assign=True)
        probe = evidence.record(built.eval(), mean, header.preprocessing.divide_pixels_by)
    tensors[MEAN] = _float32(torch.from_numpy(mean))
    tensors |= {MOMENTUM + name: _float32(tensor) for name, tensor in (momentum or {}).items()}
    header = structs.replace(header, probe=probe, crc32=checksum(tensors))
    with replacing(path) as file:
        _write(file, tensors, {"alexnet": records.sealed(header, indent=None), "format": "pt"})


def load(path: Path) -> Checkpoint:
    """Reads a weight file, rebuilds its network, and checks that it gives the outputs that the file records.

    Raises:
        CheckpointError: The file is missing or damaged, another program wrote it, or its tensors are another network's.
    """
    tensors, header = _read(path)
    if header.crc32 != checksum(tensors):
        raise CheckpointError(f"{path} is damaged: its tensors do not match its checksum; restore it from a copy")
    model = blank(header, path)
    mean = tensors.pop(MEAN)
    momentum = {name.removeprefix(MOMENTUM): tensors.pop(name) for name in list(tensors) if name.startswith(MOMENTUM)}
    fill(model, tensors, path)
    if momentum:
        check(model, tensors | momentum, path, "the momentum of ")  # a layer that is not trained has none
    side, shown = max(mean.shape, default=0), f"{mean.dtype} of shape {tuple(mean.shape)}"
    if mean.dtype != torch.float32 or mean.shape != (side, side, 3) or not model.input_size <= side <= LARGEST:
        raise CheckpointError(f"{path} is damaged: its mean image is {shown}, expected float32 (S, S, 3)")
    if not mean.isfinite().all():
        raise CheckpointError(f"{path} is damaged: its mean image holds values that are not finite")
    evidence.compare(model.eval(), mean.numpy(), header, path)
    return Checkpoint(model, mean.numpy(), momentum, header)


def blank(header: Header, path: Path) -> Network:
    """Returns the network that a header describes, without memory for its weights: the file has yet to show them."""
    try:
        with torch.device("meta"):
            return build(header.design, len(header.classes), initialisation="none")
    except (UsageError, RuntimeError, OverflowError) as error:
        reason = f"holds a network that this version cannot build: {error}"
        raise CheckpointError(f"{path} {reason}; restore it from a copy or make it anew") from error


def fill(model: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Puts tensors into a network, which takes memory only after `check` has accepted them."""
    check(model, tensors, path)
    # `to_empty` would import sympy, a third of a second, and fill memory twice.
    own = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    model.load_state_dict(own, assign=True)


def check(model: Network, tensors: dict[str, Tensor], path: Path, what: str = "") -> None:
    """Raises a CheckpointError unless tensors have a network's names and shapes, and finite values in float32.

    In the message, `what` they are stands before a name.
    """
    expected, present = ({name: tuple(t.shape) for name, t in each.items()} for each in (model.state_dict(), tensors))
    for name in sorted(expected.keys() | present.keys()):
        right, actual = expected.get(name, "absent"), present.get(name, "absent")
        if actual != right:
            expectation = f"{what}{name} should be {right}, is {actual}"
            raise CheckpointError(f"{path} does not hold a {model.variant}: {expectation}")
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise CheckpointError(f"{path} holds {what}{name} as {tensor.dtype}, expected float32")
        if not torch.stack(tensor.aminmax()).isfinite().all():
            raise CheckpointError(f"{path} holds values that are not finite in {what}{name}; the training diverged")


def checksum(tensors: dict[str, Tensor]) -> int:
    """Returns the CRC-32 of the tensors' bytes, in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), crc)  # type: ignore[arg-type]
    return crc


def read_header(path: Path) -> Header:
    """Returns what a weight file says of itself; see `load` for the errors."""
    return _read(path, with_tensors=False)[1]


def _read(path: Path, with_tensors: bool = True) -> tuple[dict[str, Tensor], Header]:
    if not path.is_file():
        raise CheckpointError(f"no weight file {path}")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("alexnet")
            names = set(file.keys())
            tensors = {name: file.get_tensor(name) for name in names} if text and with_tensors else {}
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    if text is None or MEAN not in names:
        raise CheckpointError(f"{path} was not written by alexnet: it has no entry 'alexnet' or no mean image")
    return tensors, records.read(Header, text, path, CheckpointError, "restore it from a copy or make it anew")


def _float32(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()


def _write(file: BinaryIO, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes float32 tensors from where they lie; safetensors' own writer would copy them all twice.

    Source: https://github.com/huggingface/safetensors, "Format".
    """
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name in sorted(tensors):
        start, end = end, end + 4 * tensors[name].numel()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in sorted(tensors):
        file.write(tensors[name].numpy().data)
