"""Damages files as disks, cables and editors do: what was written is read as it was, or refused in one line.

    report = harm(path, read)            # flips bits of `path`, cuts it off, replaces it, and calls `read` each time
    harm(path, read, flips=200, seed=7)

`KINDS` has a file of each kind that commands read back, below a folder that holds `store`, `run` and the like. It is
for the tests, which flip a few bits, and for `make campaign`, which flips many. Files are replaced, never written in
place, so that whoever still maps the old one keeps it.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.errors import AlexNetError

Read = Callable[[], object]


def flipped(content: bytes, dice: random.Random, bits: int = 1) -> bytes:
    """Returns a content with so many bits, drawn by `dice`, the other way round."""
    changed = bytearray(content)
    for _ in range(bits):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def damages(content: bytes, flips: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yields damaged contents and what was done to each: `flips` times one bit, then the cuts and replacements."""
    dice = random.Random(seed)
    for number in range(flips):
        yield f"flip {number}", flipped(content, dice)
    yield "eight flips", flipped(content, dice, 8)
    for part in (0, 1, len(content) // 2, len(content) - 1):
        yield f"cut to {part} bytes", content[:part]
    yield "zeros", bytes(len(content))
    yield "noise", dice.randbytes(len(content))
    yield "a page of a server", b"<!DOCTYPE html>\n<title>404</title>"
    yield "other JSON", b'[{"a": NaN}]'


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    """Puts another content into the place of a file for the time of the block."""
    kept, draft = path.with_name(f"{path.name}.kept"), path.with_name(f"{path.name}.draft")
    path.rename(kept)
    try:
        draft.write_bytes(content)
        draft.rename(path)
        yield
    finally:
        kept.rename(path)


def harm(path: Path, read: Read, flips: int = 40, seed: int = 0) -> Counter[str]:
    """Reads a file in all its damages and counts how it went: `same` as the whole file, or `refused` in one line.

    Raises:
        AssertionError: Something was read that is not the same, or an error is no `AlexNetError` of one line. The
            message lists each damage.
    """
    whole, verdicts, faults = meaning(read()), Counter[str](), []
    for name, content in damages(path.read_bytes(), flips, seed):
        with replaced(path, content):
            try:
                verdict = "same" if meaning(read()) == whole else "changed silently"
            except AlexNetError as error:
                verdict = "several lines" if "\n" in str(error) else "refused"
            except Exception as error:
                verdict = f"traceback {type(error).__name__}: {error}"
        verdicts[verdict.partition(":")[0]] += 1
        if verdict not in ("same", "refused"):
            faults.append(f"{path.name}, {name}: {verdict}")
    assert not faults, "\n".join(faults)
    return verdicts


def meaning(value: object) -> object:
    """Returns what can be compared with `==`: arrays and tensors become bytes."""
    if isinstance(value, dict):
        return {key: meaning(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [meaning(each) for each in value]
    if hasattr(value, "numpy"):
        value = value.detach().numpy()
    return (str(value.dtype), value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def unsealed(text: str | bytes) -> dict:
    """Returns the fields of a JSON object without its seal, which a change would break."""
    fields = json.loads(text)
    fields.pop("seal", None)
    return fields


@dataclass(frozen=True)
class Kind:
    """A file, relative to a folder, and what is read of it there."""

    file: str
    read: Callable[[Path], object]


def of_store(folder: Path) -> object:
    """Returns all that a training or a report takes from the packed store FOLDER/store."""
    from alexnet.data.store import Store

    store = Store(folder / "store")
    facts = (store.name, store.classes, store.size, store.covariance, store.content_hash, store.fingerprint)
    facts += (store.quarantine, store.ignored, store.is_split_drawn, store.licence, dict(store.details))
    facts += (store.decoding, store.square, store.mean_image)
    splits = {
        name: [split.labels, *((split.name(i), split.read(i)) for i in range(len(split)))]
        for name, split in store.splits.items()
    }
    return facts, splits


def of_weights(path: Path) -> object:
    """Returns all that a weight file holds, compressed or not."""
    from alexnet.weights import checkpoint, compressed

    loaded = compressed.load(path) if compressed.is_compressed(path) else checkpoint.load(path)
    return loaded.header, loaded.mean, loaded.momentum, dict(loaded.model.state_dict())


def of_best(folder: Path) -> object:
    """Returns what `predict` and the like take from the run FOLDER/run."""
    from alexnet.evaluation.classifier import load

    classifier = load(folder / "run", numbers="float32")
    return classifier.header, classifier.mean, dict(classifier.model.state_dict())


def of_run(folder: Path) -> object:
    """Returns what reports and resuming read of the run FOLDER/run besides its weights.

    A damaged line of the metrics is left out and counted.
    """
    from alexnet.run import Run

    run = Run(folder / "run")
    return run.description(), run.evaluation(), run.examples()


KINDS = {
    "dataset.json": Kind("store/dataset.json", of_store),
    "mean image": Kind("store/mean_image.npy", of_store),
    "shard": Kind("store/train-000000.tar", of_store),
    "index": Kind("store/train.index.npy", of_store),
    "names": Kind("store/train.names", of_store),
    "checksums": Kind("store/train.crc32.npy", of_store),
    "config.json": Kind("run/config.json", of_run),
    "evaluation.json": Kind("run/evaluation.json", of_run),
    "examples.json": Kind("run/examples.json", of_run),
    "manifest.json": Kind("run/manifest.json", of_best),
    "best weights": Kind("run/model.safetensors", of_best),
    "weights to resume from": Kind("run/last.safetensors", lambda folder: of_weights(folder / "run/last.safetensors")),
    "compressed weights": Kind("run.compressed", lambda folder: of_weights(folder / "run.compressed")),
}
"""The kinds of files by name. A folder for them has a packed store, a finished run with its evaluation, and a
compressed file."""
