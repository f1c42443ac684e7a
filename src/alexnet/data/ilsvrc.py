"""ILSVRC-2012 from a folder of its three official archives, read by offset without unpacking."""

import importlib
import io
import re
import tarfile
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.data.listing import TAR_ERRORS, Integers, Listing, Source, Spans, read_to_end, stamp
from alexnet.data.scan import tar_members
from alexnet.errors import DataError

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"

LICENCE = "ImageNet terms of access: non-commercial research and education; https://image-net.org/download"


@dataclass(frozen=True)
class Devkit:
    """What the development kit states, class by class in the order of the sorted WordNet ids."""

    ids: list[int]  # the class numbers of the challenge, 1..1000
    wnids: tuple[str, ...]  # the WordNet ids, which are the classes
    words: list[str]  # the names of the classes in English
    counts: list[int]  # the number of training pictures of each class
    truth: Integers  # (N,), the class number of each validation picture


def find(path: Path) -> Path | None:
    """Returns the folder of the archives if `path` is that folder or one of the archives, else None."""
    folder = path if path.is_dir() else path.parent
    is_ours = path.is_dir() or path.name in (TRAIN, VAL, DEVKIT)
    return folder if is_ours and (folder / TRAIN).is_file() else None


def open_archives(folder: Path) -> Source:
    """Opens ILSVRC-2012. Its classes are the sorted WordNet ids; `details` has devkit ids and words.

    Raises:
        DataError: An archive is missing, is damaged or has another number of pictures than the development kit says
            (1,281,167 and 50,000 in the published one), or scipy is not installed.
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
    spans, labels = Spans(archive), array("q")
    label_of = {wnid: label for label, wnid in enumerate(devkit.wnids)}
    for inner in tar_members(archive):
        wnid = Path(inner.name).stem
        if wnid not in label_of:
            raise DataError(f"{archive} holds {inner.name}, a class unknown to {DEVKIT}")
        for member in tar_members(archive, inner.offset_data):
            spans.append(f"{wnid}/{member.name}", member)
            labels.append(label_of[wnid])
    counts = np.bincount(np.array(labels, dtype=np.int64), minlength=len(devkit.wnids))
    for wnid, have, expected in zip(devkit.wnids, counts, devkit.counts, strict=True):
        if have != expected:
            raise DataError(
                f"{archive} has {counts.sum():,} pictures instead of {sum(devkit.counts):,} "
                f"({have:,} instead of {expected:,} of {wnid}): fetch it again"
            )
    return _listing(spans, labels)


def _val(archive: Path, devkit: Devkit) -> Listing:
    """Lists the validation pictures; the number in a name is the line of its class in the ground truth."""
    spans, labels = Spans(archive), array("q")
    label_of = {number: label for label, number in enumerate(devkit.ids)}
    for member in tar_members(archive):
        number = re.fullmatch(r".*_(\d{8})\.JPEG", member.name)
        if number and 1 <= int(number[1]) <= len(devkit.truth):
            spans.append(Path(member.name).name, member)
            labels.append(label_of[int(devkit.truth[int(number[1]) - 1])])
    if len(labels) != len(devkit.truth):
        raise DataError(f"{archive} has {len(labels):,} pictures instead of {len(devkit.truth):,}: fetch it again")
    return _listing(spans, labels)


def _listing(spans: Spans, labels: "array[int]") -> Listing:
    order = spans.names.order()
    return Listing(np.array(labels, dtype=np.int64)[order], order, spans.names, spans.fetch)


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
    try:
        scipy_io = importlib.import_module("scipy.io")
    except ImportError as error:
        raise DataError("reading ILSVRC-2012 needs scipy: pip install 'alexnet[imagenet]'") from error
    synsets = np.atleast_1d(scipy_io.loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"])
    leaves = synsets[synsets["num_children"] == 0]  # the rest are the groups above the 1,000 classes
    leaves = leaves[np.argsort(leaves["WNID"].astype(str))]
    return Devkit(
        ids=list(map(int, leaves["ILSVRC2012_ID"])),
        wnids=tuple(map(str, leaves["WNID"])),
        words=list(map(str, leaves["words"])),
        counts=list(map(int, leaves["num_train_images"])),
        truth=np.array(truth.split(), dtype=np.int64),
    )
