"""Weight files: safetensors, with what it takes to use them in the header.

A file holds the network's parameters under their layers' names (`conv1.weight` ...), the mean image, and for
resuming the momentum of each parameter (`momentum.conv1.weight` ...). The entry `alexnet` of its metadata is a JSON
object: network, classes, preprocessing, where it came from, a checksum of the tensors, and the outputs of `evidence`.
"""

import json
import math
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from alexnet.errors import CheckpointError, UsageError
from alexnet.files import replacing
from alexnet.models.create import create
from alexnet.models.network import Network
from alexnet.weights import evidence

MOMENTUM = "momentum."
MEAN = "mean_image"

LARGEST = 4096
"""Side of a mean image, pixels."""

SQUARES = ("centre", "warp")
"""How pictures become square; the first, where a header does not say."""

_NEEDED = {"network", "classes", "preprocessing", "crc32"}


@dataclass(frozen=True)
class Checkpoint:
    """What a weight file holds.

    Attributes:
        model: The network, in evaluation mode.
        mean: (S, S, 3) mean image, 0..255.
        momentum: Parameter name -> momentum; empty in a file that is not for resuming.
        header: The JSON object of its metadata.
    """

    model: Network
    mean: NDArray[np.float32]
    momentum: dict[str, Tensor]
    header: dict[str, Any]


def network(model: Network) -> dict[str, Any]:
    """Describes a network so that `load` can rebuild it."""
    return asdict(model.design)


def save(
    path: Path,
    model: Network,
    mean: NDArray[np.float32],
    header: dict[str, Any],
    momentum: dict[str, Tensor] | None = None,
    weights: dict[str, Tensor] | None = None,
) -> None:
    """Writes a weight file, whole or not at all.

    Args:
        path: Where to.
        model: The network.
        mean: (S, S, 3) mean image, 0..255.
        header: JSON values to keep: classes, preprocessing, ...
        momentum: Parameter name -> momentum, for a file to resume from; such a file carries no outputs, since it is
            written often and read by `train --resume` alone.
        weights: Parameter name -> weights to write instead of the network's own.

    Raises:
        DataError: The disk is full.
    """
    weights = model.state_dict() if weights is None else weights
    tensors = {name: _float32(tensor) for name, tensor in weights.items()}
    header = {**header, "network": network(model)}
    if not momentum:
        header["probe"] = evidence.record(_built(header, tensors), mean, header["preprocessing"]["divide_pixels_by"])
    tensors[MEAN] = _float32(torch.from_numpy(mean))
    tensors |= {MOMENTUM + name: _float32(tensor) for name, tensor in (momentum or {}).items()}
    header["crc32"] = checksum(tensors)
    with replacing(path) as file:
        _write(file, tensors, {"alexnet": json.dumps(header), "format": "pt"})


def load(path: Path) -> Checkpoint:
    """Reads a weight file, rebuilds its network, and sees that it gives the outputs that the file records.

    Raises:
        CheckpointError: The file is missing, damaged, of another program, or of another network.
    """
    tensors, header = _read(path)
    if header["crc32"] != checksum(tensors):
        raise CheckpointError(f"{path} is damaged: its tensors do not match its checksum; restore it from a copy")
    model = blank(header, path)
    mean = tensors.pop(MEAN)
    momentum = {name: tensors.pop(name) for name in list(tensors) if name.startswith(MOMENTUM)}
    check(model, tensors, path)
    side = mean.shape[0] if mean.dim() == 3 else 0
    if mean.dtype != torch.float32 or mean.shape != (side, side, 3) or not model.input_size <= side <= LARGEST:
        found = f"{mean.dtype} of shape {tuple(mean.shape)}"
        raise CheckpointError(f"{path} is damaged: its mean image is {found}, expected float32 (S, S, 3)")
    if not mean.isfinite().all():
        raise CheckpointError(f"{path} is damaged: its mean image holds values that are not finite")
    model.to_empty(device="cpu").load_state_dict(tensors)
    evidence.compare(model.eval(), mean.numpy(), header, path)
    return Checkpoint(model, mean.numpy(), {name.removeprefix(MOMENTUM): v for name, v in momentum.items()}, header)


def blank(header: dict[str, Any], path: Path) -> Network:
    """Gives the network that a header describes, without memory for its weights: the file has yet to show them.

    Raises:
        CheckpointError: The header describes none.
    """
    try:
        settings, classes = dict(header["network"]), header["classes"]
        _check_classes(classes)
        _check_preprocessing(header["preprocessing"])
        for name in ("data", "converted"):
            if not isinstance(header.get(name, {}), dict):
                raise ValueError(f"its {name} is no JSON object")
        with torch.device("meta"):
            return create(settings.pop("variant"), classes=len(classes), initialisation="none", **settings)
    except (UsageError, KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise CheckpointError(
            f"{path} holds a network that this version cannot build: {error}; restore it from a copy or make it anew"
        ) from error


def _check_classes(classes: Any) -> None:
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise ValueError("its classes are no list of names")
    if len(set(classes)) < len(classes):
        raise ValueError(f"it names the class {Counter(classes).most_common(1)[0][0][:80]!r} twice")


def _check_preprocessing(preprocessing: Any) -> None:
    if not isinstance(preprocessing, dict):
        raise ValueError("its preprocessing is no JSON object")
    divide_by, square = preprocessing["divide_pixels_by"], preprocessing.get("square", SQUARES[0])
    if isinstance(divide_by, bool) or not isinstance(divide_by, int | float) or not 0 < float(divide_by) < math.inf:
        raise ValueError(f"divide_pixels_by is {divide_by!r}")
    if square not in SQUARES:
        raise ValueError(f"square is {square!r}; there are {' and '.join(SQUARES)}")


def fill(model: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Puts tensors into a network of the same names and shapes.

    Raises:
        CheckpointError: Names or shapes differ, or a value is not finite.
    """
    check(model, tensors, path)
    model.load_state_dict(tensors)


def check(model: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Sees that tensors have the names and shapes of a network's, and values that are finite.

    Raises:
        CheckpointError: Names or shapes differ, or a value is not finite.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise CheckpointError(
                f"{path} does not hold a {model.variant}: {name} should be {expected.get(name, 'absent')}, "
                f"is {found.get(name, 'absent')}"
            )
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise CheckpointError(f"{path} holds {name} as {tensor.dtype}, expected float32")
        if not torch.stack(tensor.aminmax()).isfinite().all():
            raise CheckpointError(f"{path} holds values that are not finite in {name}; the training diverged")


def checksum(tensors: dict[str, Tensor]) -> int:
    """Gives the CRC-32 of the tensors' bytes, in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy(), crc)  # type: ignore[arg-type]
    return crc


def read_header(path: Path) -> dict[str, Any]:
    """Gives what a weight file says of itself.

    Raises:
        CheckpointError: It is missing or damaged, or of another program.
    """
    return _read(path, with_tensors=False)[1]


def _read(path: Path, with_tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"no weight file {path}")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get("alexnet", "null"))
            names = set(file.keys())
            tensors = {name: file.get_tensor(name) for name in names} if header and with_tensors else {}
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    if not isinstance(header, dict) or not header.keys() >= _NEEDED or MEAN not in names:
        raise CheckpointError(
            f"{path} was not written by alexnet: it lacks classes, preprocessing, network, mean image or checksum"
        )
    return tensors, header


def _built(header: dict[str, Any], weights: dict[str, Tensor]) -> Network:
    """Gives the network as `load` will: of weights that a network in training, or cut in parts, no longer has."""
    model = blank(header, Path("the network"))
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _float32(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()


def _write(file: BinaryIO, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes float32 tensors from where they lie; the library would copy them all twice before it writes.

    Source: https://github.com/huggingface/safetensors, "Format".
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name in sorted(tensors):
        start, end = end, end + 4 * tensors[name].numel()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in sorted(tensors):
        file.write(tensors[name].numpy().data)
