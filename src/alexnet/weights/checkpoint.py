"""Weight files: safetensors, with what it takes to use them in the header.

A file holds the network's parameters under their layers' names (`conv1.weight` ...), the mean image, and for
resuming the momentum of each parameter (`momentum.conv1.weight` ...). Its metadata has one entry, `alexnet`, a JSON
object: network, classes, preprocessing, where it came from, and a checksum of the tensors.
"""

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from alexnet.errors import CheckpointError, UsageError
from alexnet.files import replacing
from alexnet.models.create import create
from alexnet.models.network import Network

MOMENTUM = "momentum."
MEAN = "mean_image"


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
    return {"variant": model.variant, "input_size": model.input_size, **model.settings}


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
        momentum: Parameter name -> momentum, for a file to resume from.
        weights: Parameter name -> weights to write instead of the network's own.

    Raises:
        DataError: The disk is full.
    """
    weights = model.state_dict() if weights is None else weights
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    tensors[MEAN] = torch.from_numpy(mean)
    tensors |= {MOMENTUM + name: tensor.cpu().contiguous() for name, tensor in (momentum or {}).items()}
    header = {**header, "network": network(model), "crc32": checksum(tensors)}
    with replacing(path) as file:
        file.write(serialise(tensors, {"alexnet": json.dumps(header)}))


def load(path: Path) -> Checkpoint:
    """Reads a weight file and rebuilds its network.

    Raises:
        CheckpointError: The file is missing, damaged, of another program, or of another network.
    """
    tensors, header = _read(path)
    if header["crc32"] != checksum(tensors):
        raise CheckpointError(f"{path} is damaged: its tensors do not match its checksum; restore it from a copy")
    try:
        settings = dict(header["network"])
        model = create(settings.pop("variant"), classes=len(header["classes"]), initialisation="none", **settings)
    except (UsageError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} holds a network that this version cannot build: {error}") from error
    mean = tensors.pop(MEAN).numpy()
    momentum = {name: tensors.pop(name) for name in list(tensors) if name.startswith(MOMENTUM)}
    fill(model, tensors, path)
    return Checkpoint(model.eval(), mean, {name.removeprefix(MOMENTUM): v for name, v in momentum.items()}, header)


def fill(model: Network, tensors: dict[str, Tensor], path: Path) -> None:
    """Puts tensors into a network of the same names and shapes.

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
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise CheckpointError(f"{path} holds values that are not finite in {broken[0]}; the training diverged")
    model.load_state_dict(tensors)


def checksum(tensors: dict[str, Tensor]) -> int:
    """Gives the CRC-32 of the tensors' bytes, in the order of their names."""
    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(tensors[name].numpy().reshape(-1).view(np.uint8), crc)  # type: ignore[arg-type]
    return crc


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(f"no weight file {path}")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {}).get("alexnet", "null"))
            names: Iterable[str] = file.keys()
            tensors = {name: file.get_tensor(name) for name in names} if header else {}
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file: {error}") from error
    if not isinstance(header, dict) or not header.keys() >= {"network", "classes", "crc32"} or MEAN not in tensors:
        raise CheckpointError(f"{path} was not written by alexnet: it lacks classes, network, mean image or checksum")
    return tensors, header
