"""What bounds training on this machine with this data, and what to change."""

import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
import torch

from alexnet import machine
from alexnet.benches.contest import Contestant, Failed, Measured, Notice, launch, typical
from alexnet.benches.data import examples, files_below, write_folder
from alexnet.benches.findings import Size
from alexnet.benches.proposal import Proposal, propose
from alexnet.benches.train import ours
from alexnet.config import PAPER, Train
from alexnet.data.augment import augment, draw
from alexnet.data.listing import Source, spread
from alexnet.data.manifest import is_store
from alexnet.data.open import open_undecoded
from alexnet.data.pack import pack
from alexnet.data.pictures import MEMORY_BUDGET, Pictures
from alexnet.data.sides import typical_side
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import AlexNetError
from alexnet.machine import Facts
from alexnet.models.variants import row, stored_size
from alexnet.observer import Observer
from alexnet.training import plan

HOURS = 8.0
READ_AT_MOST = 256 << 20
WORTH_SAYING_S = 120
"""Packing that takes longer is announced."""


class Stage(StrEnum):
    """What has a rate: the stages between the disk and the weights, and all of them together."""

    PACKING = "packing"
    DECODING = "decoding"
    AUGMENTATION = "augmentation"
    TRANSFER = "transfer"
    DISK = "disk"
    DISK_MEGABYTES = "disk MB/s"
    STEP = "step"
    TRAINING = "training"
    UNKNOWN = "unknown"


Rates = dict[Stage, float]

EACH_IMAGE = (Stage.DISK, Stage.DECODING, Stage.AUGMENTATION, Stage.TRANSFER, Stage.STEP)
"""The stages that an image passes in training."""

ADVICE = {
    Stage.DISK: "The disk bounds training: pack the pictures into a store on a faster disk, and train with the store.",
    Stage.DECODING: "Decoding bounds training: more processor cores help, or a data set that fits in memory decoded.",
    Stage.AUGMENTATION: "Augmentation bounds training: more processor cores help.",
    Stage.TRANSFER: "The way to the GPU bounds training: see whether it sits in a full-width slot.",
    Stage.STEP: "The training step bounds training, as it should: only a smaller network, a smaller input_size or a "
    "faster processor or GPU changes that.",
    Stage.UNKNOWN: "The training step could not be measured.",
}


@dataclass(frozen=True)
class Examination:
    """What was measured on a machine, and what follows from it; None stands for what is not known."""

    machine: Facts
    data: str | None  # what the user calls the pictures
    rates: Rates  # images/s of each stage by itself that was measured, and of training; the disk also in MB/s
    shares: Rates  # of an image's time, in [0, 1]; empty where the step was not measured
    pictures: int | None  # for training
    epoch_s: float | None  # of an epoch after the first, which alone decodes pictures that are kept decoded
    largest_batch: int | None  # that fits in memory
    bound_by: Stage  # the stage that takes longest
    advice: list[str]  # what to change, in sentences
    proposal: Proposal | None  # a training to begin with; None without pictures


def examine(
    data: str | None,
    variant: str,
    observer: Observer | None = None,
    size: Size | None = None,
    hours: float = HOURS,
) -> Examination:
    """Measures each stage between the disk and the weights, for a few seconds each.

    The pictures are those of a source or a store, read and refused as training reads and refuses them; None makes
    photographs up. The observer is told of each measurement, and of what could not be measured, with the reason. The
    training that is proposed takes about `hours` at most.

    Raises:
        UsageError: There is no such network or data.
        DataError: The data cannot be read.
    """
    notice, size = (observer or Observer()).notice, size or Size()
    side = size.input_size or row(variant).input_size
    plan.check(Train(variant=variant, input_size=side))
    source = None if data is None else open_undecoded(data, observer)
    pictures = None if source is None else len(source.splits["train"])
    rates = _loading(source, variant, side, size, notice)
    step_rate, largest_batch = _step(variant, size, notice)
    if step_rate is not None:
        rates[Stage.STEP] = step_rate
    are_kept = pictures is not None and pictures * stored_size(variant, side) ** 2 * 3 <= MEMORY_BUDGET
    each = {stage: 1 / rates[stage] for stage in EACH_IMAGE if stage in rates} if step_rate is not None else {}
    image_s = _image_s(each, (Stage.DISK, Stage.DECODING) if are_kept else ())
    if first_s := _image_s(each, ()):
        rates[Stage.TRAINING] = 1 / first_s
    examination = Examination(
        machine=machine.facts(),
        data=data,
        rates=rates,
        shares={stage: seconds / sum(each.values()) for stage, seconds in each.items()},
        pictures=pictures,
        epoch_s=pictures * image_s if image_s and pictures else None,
        largest_batch=largest_batch,
        bound_by=max(each, key=lambda stage: each[stage], default=Stage.UNKNOWN),
        advice=[],
        proposal=None,
    )
    if source is not None and pictures:
        proposal = propose(variant, pictures, typical_side(source), image_s, side, hours)
        examination = replace(examination, proposal=proposal)
    is_packed = data is not None and is_store(data)
    return replace(examination, advice=list(_advice(examination, is_packed, are_kept)))


def _image_s(each: Rates, skipped: Collection[Stage]) -> float | None:
    """Returns the seconds that an image takes in training, from those of each stage; None where these are not known."""
    # A processor does one stage after the other; beside a GPU they run at the same time.
    total = max if torch.cuda.is_available() else sum
    return total(seconds for stage, seconds in each.items() if stage not in skipped) if each else None


def loading(size: Size, store: str, variant: str, side: int) -> Rates:
    """Measures the images/s of decoding, augmentation and, where there is a GPU, transfer: each by itself."""
    opened, settings, dtype = Store(store), Train(variant=variant, batch_size=size.batch), machine.dtype("auto")
    with closing(Pictures(opened.splits["train"], opened.size, 0)) as pictures:
        chosen = np.arange(size.batch) % len(pictures)
        batch, draws = pictures.read(chosen), draw(settings, opened.covariance, 0, opened.size, side)
        mean, tensor = torch.from_numpy(opened.mean_image).to(machine.device()), torch.from_numpy(batch)
        stages: dict[Stage, Callable[[], object]] = {
            Stage.DECODING: lambda: pictures.read(chosen),
            Stage.AUGMENTATION: lambda: augment(batch, draws, mean, side, dtype),
        }
        if torch.cuda.is_available():
            stages[Stage.TRANSFER] = lambda: tensor.to(machine.device())
        return {stage: size.batch / typical(work, size.seconds) for stage, work in stages.items()}


def disk_rate(files: Iterable[Path]) -> float | None:
    """Returns the bytes/s of reading files, past the system's memory where the system can be told to forget them.

    Only ordinary files are opened, since a pipe may wait for ever; None where nothing can be read.
    """
    done, started = 0, time.perf_counter()
    for file in filter(Path.is_file, files):
        with suppress(OSError), file.open("rb", buffering=0) as opened:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while done < READ_AT_MOST and (block := opened.read(1 << 20)):
                done += len(block)
        if done >= READ_AT_MOST:
            break
    return done / (time.perf_counter() - started) or None


def _files(source: Source) -> Iterator[Path]:
    """Yields the files that hold the training pictures of a source."""
    if source.kind == "folder":
        listing = source.splits["train"]
        yield from (source.path / os.fsdecode(listing.names[row]) for row in listing.rows)
    else:
        yield from files_below(source.path) if source.path.is_dir() else [source.path]


def _some(source: Source, number: int) -> Iterator[tuple[str, bytes]]:
    """Yields ending and content of a number of training pictures, spread evenly over them."""
    listing = source.splits["train"]
    for i in spread(len(listing), number):
        with suppress(OSError, AlexNetError):  # what cannot be read is left out, as by packing
            yield Path(listing.name(i)).suffix or ".png", listing.read(i)


def _loading(source: Source | None, variant: str, side: int, size: Size, notice: Notice) -> Rates:
    """Packs some pictures, loads them and reads the disk of the data; returns the rates that were measured."""
    notice("packing some pictures" + ("" if source else ", made up, as none were given"))
    with tempfile.TemporaryDirectory(prefix="alexnet-doctor-") as scratch:
        some = examples(None) if source is None else _some(source, size.pictures)
        folder = write_folder(Path(scratch, "pictures"), some, size.pictures)
        started = time.perf_counter()
        store = pack(open_source(folder), Path(scratch, "store"), size=stored_size(variant, side))
        rates = {Stage.PACKING: size.pictures / (time.perf_counter() - started)}
        split = store.splits["train"]
        picture_bytes = float(np.mean([len(split.jpeg(i)) for i in range(len(split))]))
        notice("loading pictures")
        measure = partial(loading, store=str(store.directory), variant=variant, side=side)
        rates |= _try(Contestant("loading", measure, keeps_memory=True), size, notice) or {}
    if source is not None:
        notice("reading the disk")
        if rate := disk_rate(_files(source)):
            rates |= {Stage.DISK_MEGABYTES: rate / 1e6, Stage.DISK: rate / picture_bytes}
    return rates


def _step(variant: str, size: Size, notice: Notice) -> tuple[float | None, int | None]:
    """Returns the images/s of training steps, and the largest batch that fits in memory; None where not known."""
    notice("training steps")
    contestant = Contestant("training steps", partial(ours, variant=variant, numbers="auto"), keeps_memory=True)
    few = max(1, size.batch // 4)
    small, whole = (_try(contestant, replace(size, batch=batch), notice) for batch in (few, size.batch))
    rate, free = whole.images_per_s if whole else None, machine.free_memory()
    if not small or not whole or not free or not whole.peak_bytes > small.peak_bytes:  # NaN is not larger either
        return rate, None
    each = (whole.peak_bytes - small.peak_bytes) / (size.batch - few)  # what one more image takes
    return rate, max(0, int(size.batch + (free - whole.peak_bytes) / each))


def _try(contestant: Contestant[Measured], size: Size, notice: Notice) -> Measured | None:
    try:
        return launch(contestant, size)
    except Failed as reason:
        notice(f"not measured: {contestant.name}: {reason}")
        return None


def _advice(examination: Examination, is_packed: bool, are_kept: bool) -> Iterator[str]:
    facts, count, batch = examination.machine, examination.pictures, examination.largest_batch
    if not facts.kernels:
        yield "The compiled kernels are missing: install alexnet again with a C++ compiler at hand."
    if facts.threads < facts.cores:
        yield f"PyTorch takes {facts.threads} of {facts.cores} cores: see whether OMP_NUM_THREADS is set."
    if not facts.bf16:
        yield "This processor has no bf16 instructions: training runs in float32, at about half the rate."
    yield ADVICE[examination.bound_by]
    if count and not is_packed and (seconds := count / examination.rates[Stage.PACKING]) > WORTH_SAYING_S:
        yield f"The first run packs {count:,} pictures, about {seconds / 60:.0f} min, unless they are packed before."
    if count and are_kept:
        yield "Decoded, these pictures fit in memory: they are decoded in the first epoch only."
    if batch is not None and batch < PAPER.batch_size:
        yield f"A batch of {PAPER.batch_size} does not fit in memory: train with batch_size={max(1, batch)}."
