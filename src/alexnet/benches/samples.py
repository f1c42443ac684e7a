"""Pictures to measure loading with: some that a user names, or made-up photographs; and stores of any length."""

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from PIL import Image

from alexnet.data.folders import PICTURES
from alexnet.data.manifest import MANIFEST, MEAN_IMAGE, File, is_store, read_manifest, shard_name
from alexnet.data.open import open_undecoded
from alexnet.data.store import EXAMPLES_PER_SHARD, Store
from alexnet.files import from_home
from alexnet.seeds import generator

MADE_UP = 100
SIDES, QUALITY = (500, 375), 95
"""The mean size of an ImageNet photograph; at this quality a made-up one has its mean length, about 100 kB."""


def write_folder(place: Path, data: str | None, count: int) -> Path:
    """Writes a class folder of `count` pictures, whose two classes take turns.

    Args:
        place: Folder to make.
        data: A folder of pictures, a tar file of them, a source or a store; None makes photographs up.
        count: Pictures to write; those of `data` are repeated where there are fewer.
    """
    pictures = list(islice(examples(data), count))
    for label in ("a", "b"):
        (place / label).mkdir(parents=True)
    for number, (ending, content) in enumerate(islice(cycle(pictures), count)):
        (place / "ab"[number % 2] / f"{number:06d}{ending}").write_bytes(content)
    return place


def examples(data: str | None) -> Iterator[tuple[str, bytes]]:
    """Yields ending and content of each picture.

    Raises:
        UsageError: There is no such source.
        DataError: The source cannot be read.
    """
    if data is None:
        yield from ((".jpg", photograph(number)) for number in range(MADE_UP))
        return
    path = from_home(data)
    if not is_store(path) and next(files_below(path, PICTURES), None):
        yield from ((file.suffix, file.read_bytes()) for file in files_below(path, PICTURES))
    elif path.is_file() and tarfile.is_tarfile(path):
        yield from _members(path)
    else:
        listing = open_undecoded(data).splits["train"]
        endings = (Path(listing.name(i)).suffix for i in range(len(listing)))
        yield from (
            (ending if ending.lower() in PICTURES else ".png", listing.read(i)) for i, ending in enumerate(endings)
        )


def files_below(path: Path, endings: AbstractSet[str] | None = None) -> Iterator[Path]:
    """Yields the files below a folder, all or those of some endings; none where there is no folder."""
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names if not endings or Path(name).suffix.lower() in endings)


def photograph(seed: int) -> bytes:
    """Makes up a JPEG with the spectrum of photographs: noise whose strength falls with its frequency."""
    dice = generator(seed, "photograph")
    width, height = SIDES
    pixels = np.full((height, width, 3), 128.0, np.float32)
    for octave in range(10):
        coarse = dice.normal(0, 60 / 1.2**octave, (2 + (3 << octave) // 4, 2 + (1 << octave), 3)).astype(np.float32)
        coarse = 0.8 * coarse.mean(axis=2, keepdims=True) + 0.2 * coarse
        layers = [Image.fromarray(coarse[..., c]).resize(SIDES, Image.Resampling.BICUBIC) for c in range(3)]
        pixels += np.stack([np.asarray(layer) for layer in layers], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def grow(store: Store, place: Path, count: int) -> Path:
    """Makes a store of `count` training pictures out of a small one, whose first shard it repeats.

    The shards are links to one file, so that a million pictures take the disk no more than their index.
    """
    place.mkdir()
    whole = np.load(store.directory / "train.index.npy")
    first = whole[whole["shard"] == 0]
    names = (store.directory / "train.names").read_bytes()[: int(first["name_end"][-1])]
    copy, places = divmod(np.arange(count), len(first))
    index = first[places]
    index["shard"] = np.arange(count) // EXAMPLES_PER_SHARD
    index["name_end"] += copy * len(names)
    np.save(place / "train.index.npy", index)
    (place / "train.names").write_bytes(names * int(copy[-1] + 1))
    shutil.copy(store.directory / MEAN_IMAGE, place)
    tars = [shard_name("train", shard) for shard in range(int(index["shard"][-1]) + 1)]
    for tar in tars:
        _link(store.directory / tars[0], place / tar)
    others = {name: File.at(place / name) for name in ("train.index.npy", "train.names", MEAN_IMAGE)}
    files = dict.fromkeys(tars, store.files[tars[0]]) | others
    manifest = replace(read_manifest(store.directory), splits={"train": count}, files=files)
    (place / MANIFEST).write_text(manifest.to_json())
    return place


def _link(file: Path, name: Path) -> None:
    try:
        os.link(file, name)
    except OSError:  # a disk without hard links
        name.symlink_to(file.resolve())


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            ending = Path(member.name).suffix
            if ending.lower() in PICTURES and (file := archive.extractfile(member)):
                yield ending, file.read()
