"""`manifest.json`: what a run's weight file says of itself, for people and other programs, with the file's own hash.

The weight file is the truth: whoever loads it reads its header. The manifest is that header written out, so that one
need not open 240 MB to see what they are, and a SHA-256, which the file cannot hold of itself.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alexnet.files import write
from alexnet.records import Header, Manifest, WeightFile
from alexnet.weights import checkpoint, compressed

NAME = "manifest.json"


@contextmanager
def renewed(weights: Path) -> Iterator[None]:
    """Removes a manifest before its weight file is replaced, and writes a new one after: one that is there is true.

    Args:
        weights: The weight file that the block under `with` writes, compressed or not.
    """
    (weights.parent / NAME).unlink(missing_ok=True)
    yield
    write(weights.parent / NAME, describe(weights).to_json() + "\n")


def describe(weights: Path) -> Manifest:
    """Returns the manifest of a weight file, compressed or not.

    Raises:
        CheckpointError: The file is missing or damaged.
    """
    is_compressed = weights.is_file() and compressed.is_compressed(weights)
    header = compressed.read_header(weights) if is_compressed else checkpoint.read_header(weights)
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    file_facts = WeightFile(file=weights.name, bytes=weights.stat().st_size, sha256=digest)
    return Manifest(weights=file_facts, **{name: getattr(header, name) for name in Header.__struct_fields__})
