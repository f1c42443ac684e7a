"""`manifest.json`: the header of a run's weight file written out, with the SHA-256 that the file cannot hold of itself.

It spares people and other programs opening 240 MB to see what they are. The package itself reads the weight file.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from alexnet.files import write
from alexnet.records import Manifest, WeightFile
from alexnet.weights import checkpoint, compressed

NAME = "manifest.json"


@contextmanager
def renewed(weights: Path) -> Iterator[None]:
    """Removes the manifest while the block under `with` replaces a weight file, so that one that exists is true."""
    (weights.parent / NAME).unlink(missing_ok=True)
    yield
    write(weights.parent / NAME, describe(weights).to_json() + "\n")


def describe(weights: Path) -> Manifest:
    """Returns the manifest of a weight file, compressed or not; see `checkpoint.load` for the errors."""
    is_compressed = weights.is_file() and compressed.is_compressed(weights)
    header = compressed.read_header(weights) if is_compressed else checkpoint.read_header(weights)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts = WeightFile(file=weights.name, bytes=weights.stat().st_size, sha256=digest)
    return Manifest(weights=facts, **structs.asdict(header))
