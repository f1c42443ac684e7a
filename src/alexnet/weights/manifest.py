"""`manifest.json`: the header of a run's weight file written out, with the SHA-256 that the file cannot hold of itself.

It spares people and other programs opening 240 MB to see what they are. The package itself reads the weight file, and
compares it with what the manifest says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from alexnet.errors import CheckpointError
from alexnet.files import sha256, write
from alexnet.records import Manifest, Record, WeightFile, read, sealed
from alexnet.weights import checkpoint, compressed

NAME = "manifest.json"


@contextmanager
def renewed(weights: Path) -> Iterator[None]:
    """Removes the manifest while the block under `with` replaces a weight file, so that one that exists is true."""
    (weights.parent / NAME).unlink(missing_ok=True)
    yield
    write(weights.parent / NAME, sealed(describe(weights)) + "\n")


def describe(weights: Path) -> Manifest:
    """Returns the manifest of a weight file, compressed or not; see `checkpoint.load` for the errors."""
    is_compressed = weights.is_file() and compressed.is_compressed(weights)
    header = compressed.read_header(weights) if is_compressed else checkpoint.read_header(weights)
    return Manifest(weights=_measured(weights), **structs.asdict(header))


class _Claim(Record, frozen=True):
    weights: WeightFile | None = None  # other programs have files of this name too


def compare(weights: Path) -> None:
    """Compares a weight file with the manifest beside it, if there is one.

    Raises:
        CheckpointError: The manifest is damaged, or the weight file has another content than it says.
    """
    path = weights.parent / NAME
    text = _content(path)
    while text is not None:
        claim = read(_Claim, text, path, CheckpointError, "delete it, the weight file does not need it").weights
        if claim is None or claim.file != weights.name or claim == _measured(weights):
            return
        before, text = text, _content(path)
        if text == before:  # a training that replaces both removes the manifest first
            why = f"{weights} has not the length and SHA-256 that its {NAME} says: one of the two was replaced"
            raise CheckpointError(f"{why}; restore both from a copy, or delete {path} if the weights are right")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _measured(weights: Path) -> WeightFile:
    return WeightFile(file=weights.name, bytes=weights.stat().st_size, sha256=sha256(weights))
