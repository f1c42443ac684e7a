"""ILSVRC-2012 from a folder of its three official archives, read by offset without unpacking."""

import importlib
import io
import re
import tarfile
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alexnet.data.folders import tar_members
from alexnet.data.listing import TAR_ERRORS, Integers, Listing, Names, Source, read_span, read_to_end, stamp
from alexnet.errors import DataError

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"

LICENCE = "ImageNet terms of access: non-commercial research and education; https://image-net.org/download"


@dataclass(frozen=True)
class Devkit:
    """What the development kit states.

    Attributes:
        ids: The class numbers of the challenge, 1..1000, in the order of the sorted WordNet ids.
        wnids: The WordNet ids, sorted: the classes.
        words: The names of the classes in English.
        counts: int64 (C,), the number of training pictures of each class.
        truth: int64 (N,), the class number of each validation picture.
    """

    ids: list[int]
    wnids: tuple[str, ...]
    words: list[str]
    counts: Integers
    truth: Integers


@dataclass
class _Spans:
    """Pictures inside one archive."""

    archive: Path
    names: Names
    labels: "array[int]"
    offsets: "array[int]"
    lengths: "array[int]"

    @classmethod
    def of(cls, archive: Path) -> "_Spans":
        return cls(archive, Names(), array("q"), array("q"), array("q"))

    def append(self, name: str, label: int, offset: int, length: int) -> None:
        self.names.append(name.encode())
        self.labels.append(label)
        self.offsets.append(offset)
        self.lengths.append(length)

    def listing(self) -> Listing:
        order = self.names.order()
        return Listing(
            labels=np.array(self.labels, dtype=np.int64)[order],
            rows=order,
            names=self.names,
            fetch=lambda row: read_span(self.archive, self.offsets[row], self.lengths[row]),
        )


def find(path: Path) -> Path | None:
    """Returns the folder of the archives if `path` is that folder or one of the archives, else None."""
    folder = path if path.is_dir() else path.parent
    is_ours = path.is_dir() or path.name in (TRAIN, VAL, DEVKIT)
    return folder if is_ours and (folder / TRAIN).is_file() else None


def open_archives(folder: Path) -> Source:
    """Opens ILSVRC-2012. Its classes are the sorted WordNet ids; `details` has devkit ids and words.

    Raises:
        DataError: An archive is missing, damaged, or holds another number of pictures than the development
            kit says (1,281,167 and 50,000 for the published one); or scipy is not installed.
    """
    for name in (VAL, DEVKIT):
        if not (folder / name).is_file():
            raise DataError(f"{folder} has {TRAIN} but no {name}: fetch it from https://image-net.org")
    devkit = _read_devkit(folder / DEVKIT)
    return Source(
        name="ilsvrc-2012",
        kind="ilsvrc",
        classes=devkit.wnids,
        splits={"train": _train(folder / TRAIN, devkit), "val": _val(folder / VAL, devkit)},
        fingerprint="".join(stamp(folder / name) for name in (TRAIN, VAL, DEVKIT)),
        path=folder.resolve(),
        licence=LICENCE,
        details={"devkit_ids": devkit.ids, "words": devkit.words},
    )


def _train(archive: Path, devkit: Devkit) -> Listing:
    """Lists the training pictures, from a tar file that holds one tar file for each class."""
    spans = _Spans.of(archive)
    label_of = {wnid: label for label, wnid in enumerate(devkit.wnids)}
    for inner in tar_members(archive):
        wnid = Path(inner.name).stem
        if wnid not in label_of:
            raise DataError(f"{archive} holds {inner.name}, a class unknown to {DEVKIT}")
        for member in tar_members(archive, inner.offset_data):
            spans.append(f"{wnid}/{member.name}", label_of[wnid], member.offset_data, member.size)
    counts = np.bincount(np.array(spans.labels, dtype=np.int64), minlength=len(devkit.wnids))
    for wnid, have, expected in zip(devkit.wnids, counts, devkit.counts, strict=True):
        if have != expected:
            raise DataError(
                f"{archive} has {counts.sum():,} pictures instead of {devkit.counts.sum():,} "
                f"({have:,} instead of {expected:,} of {wnid}): fetch it again"
            )
    return spans.listing()


def _val(archive: Path, devkit: Devkit) -> Listing:
    """Lists the validation pictures; the number in a name is the line of its class in the ground truth."""
    spans = _Spans.of(archive)
    label_of = {number: label for label, number in enumerate(devkit.ids)}
    for member in tar_members(archive):
        number = re.fullmatch(r".*_(\d{8})\.JPEG", member.name)
        if number and 1 <= int(number[1]) <= len(devkit.truth):
            label = label_of[int(devkit.truth[int(number[1]) - 1])]
            spans.append(Path(member.name).name, label, member.offset_data, member.size)
    if len(spans.names) != len(devkit.truth):
        have, expected = len(spans.names), len(devkit.truth)
        raise DataError(f"{archive} has {have:,} pictures instead of {expected:,}: fetch it again")
    return spans.listing()


def _read_devkit(archive: Path) -> Devkit:
    try:
        with tarfile.open(archive) as tar:
            files = {Path(member.name).name: member for member in tar if member.isreg()}
            meta, truth = (
                tar.extractfile(files[name]).read()  # type: ignore[union-attr]  # regular files only
                for name in ("meta.mat", "ILSVRC2012_validation_ground_truth.txt")
            )
            read_to_end(tar)
    except (*TAR_ERRORS, KeyError) as error:
        raise DataError(f"{archive} is damaged ({error}): fetch it again") from error
    leaves = sorted((synset for synset in _synsets(meta) if synset.children == 0), key=lambda synset: synset.wnid)
    return Devkit(
        ids=[synset.number for synset in leaves],
        wnids=tuple(synset.wnid for synset in leaves),
        words=[synset.words for synset in leaves],
        counts=np.array([synset.pictures for synset in leaves], dtype=np.int64),
        truth=np.array(truth.split(), dtype=np.int64),
    )


class _Synset(NamedTuple):
    number: int
    wnid: str
    words: str
    children: int
    pictures: int


def _synsets(meta: bytes) -> list[_Synset]:
    try:
        scipy_io = importlib.import_module("scipy.io")
    except ImportError as error:
        raise DataError("reading ILSVRC-2012 needs scipy: pip install 'alexnet[imagenet]'") from error
    rows = np.atleast_1d(scipy_io.loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])
    fields = rows[["ILSVRC2012_ID", "WNID", "words", "num_children", "num_train_images"]]
    return [
        _Synset(int(number), str(wnid), str(words), int(children), int(pictures))
        for number, wnid, words, children, pictures in fields.tolist()
    ]
