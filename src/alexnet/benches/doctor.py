"""What bounds training on this machine with this data, and what to change."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet import machine
from alexnet.benches import samples
from alexnet.benches.clock import typical
from alexnet.benches.rounds import Contestant, Failed, Notice, launch
from alexnet.benches.size import Size
from alexnet.config import PAPER, Train
from alexnet.data.augment import augment, draw
from alexnet.data.manifest import is_store
from alexnet.data.pictures import MEMORY_BUDGET, Pictures
from alexnet.data.sources import open_source
from alexnet.data.store import Store, pack
from alexnet.errors import AlexNetError
from alexnet.models.variants import row, stored_size

STAGES = ("disk", "decoding", "augmentation", "transfer", "step")
READ_AT_MOST = 256 << 20
WORTH_SAYING_S = 120
"""Packing that takes longer is announced."""


def examine(
    data: str | None, variant: str, notice: Notice = lambda text: None, size: Size | None = None
) -> dict[str, Any]:
    """Measures each stage between the disk and the weights, for a few seconds each.

    Args:
        data: A source, a store or a folder of pictures; None makes photographs up.
        variant: The network to train.
        notice: Told what is being measured, and what could not be.
        size: How much to measure.

    Returns:
        `{"machine", "rates", "shares", "pictures", "epoch_s", "largest_batch", "bound_by", "advice"}`: rates in
        images/s, but for `disk MB/s`; shares of an image's time that each stage takes; the training pictures of
        `data` and the seconds that an epoch of them takes (after the first, where they are kept decoded), None where
        not known; the advice in sentences.

    Raises:
        UsageError, DataError: There is no such network or data.
    """
    size = size or Size()
    side = size.input_size or row(variant).input_size
    with tempfile.TemporaryDirectory(prefix="alexnet-doctor-") as made:
        rates, picture_bytes = _loading(Path(made), data, variant, side, size, notice)
    if data is not None and Path(data).exists():
        notice("reading the disk")
        rates["disk MB/s"] = disk_rate(Path(data)) / 1e6
        rates["disk"] = 1e6 * rates["disk MB/s"] / picture_bytes
    step, largest_batch = _step(variant, size, notice)
    rates |= step
    shares, pictures, stored = _shares(rates), _count(data), stored_size(variant, side)
    are_kept = pictures is not None and pictures * stored * stored * 3 <= MEMORY_BUDGET
    findings = {
        "machine": asdict(machine.facts()),
        "rates": rates | {"training": 1 / _seconds(rates)} if shares else rates,
        "shares": shares,
        "pictures": pictures,
        "epoch_s": pictures * _seconds(rates, are_kept) if shares and pictures else None,
        "largest_batch": largest_batch,
        "bound_by": max(shares, key=lambda stage: shares[stage], default="unknown"),
    }
    is_packed = data is not None and is_store(data)
    return {**findings, "advice": list(_advice(findings, is_packed, are_kept))}


def loading(size: Size, store: str, variant: str, side: int) -> dict[str, float]:
    """Measures decoding, augmentation and, where there is a GPU, transfer: each by itself, in images/s."""
    opened, train, dtype = Store(store), Train(variant=variant, batch_size=size.batch), machine.dtype("auto")
    pictures = Pictures(opened.splits["train"], opened.size, 0)
    chosen = np.arange(size.batch) % len(pictures)
    batch, draws = pictures.read(chosen), draw(train, opened.covariance, 0, opened.size, side)
    mean, tensor = torch.from_numpy(opened.mean_image).to(machine.device()), torch.from_numpy(batch)
    stages: dict[str, Callable[[], object]] = {
        "decoding": lambda: pictures.read(chosen),
        "augmentation": lambda: augment(batch, draws, mean, side, dtype),
    }
    if torch.cuda.is_available():
        stages["transfer"] = lambda: tensor.to(machine.device())
    rates = {name: size.batch / typical(stage, size.seconds) for name, stage in stages.items()}
    pictures.close()
    return rates


def disk_rate(path: Path) -> float:
    """Reads files, not out of the system's memory where that can be told to forget them; gives bytes/s."""
    done, started = 0, time.perf_counter()
    for file in samples.files_below(path) if path.is_dir() else [path]:
        with file.open("rb", buffering=0) as opened:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while done < READ_AT_MOST and (block := opened.read(1 << 20)):
                done += len(block)
        if done >= READ_AT_MOST:
            break
    return done / (time.perf_counter() - started)


def _loading(
    place: Path, data: str | None, variant: str, side: int, size: Size, notice: Notice
) -> tuple[dict[str, float], float]:
    """Packs some pictures and loads them; gives images/s, and the mean bytes of a packed picture."""
    notice("packing some pictures" + ("" if data else ", made up: --data takes your own"))
    source = open_source(samples.write_folder(place / "pictures", data, size.pictures))
    started = time.perf_counter()
    store = pack(source, place / "store", size=stored_size(variant, side))
    rates = {"packing": size.pictures / (time.perf_counter() - started)}
    split = store.splits["train"]
    lengths = [len(split.jpeg(i)) for i in range(len(split))]
    notice("loading pictures")
    arguments = {"store": str(store.directory), "variant": variant, "side": side}
    return rates | _try(Contestant("loading", "benches.doctor.loading", arguments, True), size, notice), float(
        np.mean(lengths)
    )


def _step(variant: str, size: Size, notice: Notice) -> tuple[dict[str, float], int | None]:
    """Gives the images/s of training steps, and the largest batch that the memory takes.

    What one more image takes is the difference between the peaks of a small and a whole batch.
    """
    notice("training steps")
    ours = Contestant("training steps", "benches.train.ours", {"variant": variant, "numbers": "auto"}, True)
    few = max(1, size.batch // 4)
    small, whole = (_try(ours, replace(size, batch=batch), notice) for batch in (few, size.batch))
    rates = {"step": whole["images/s"]} if whole else {}
    available = machine.free_memory()
    if not small or not whole or not available or not whole["peak bytes"] > small["peak bytes"]:
        return rates, None
    each = (whole["peak bytes"] - small["peak bytes"]) / (size.batch - few)
    return rates, max(0, int(size.batch + (available - whole["peak bytes"]) / each))


def _try(contestant: Contestant, size: Size, notice: Notice) -> dict[str, float]:
    try:
        return launch(contestant, size)
    except Failed as reason:
        notice(f"not measured: {contestant.name}: {reason}")
        return {}


def _seconds(rates: dict[str, float], are_kept: bool = False) -> float:
    """Gives the seconds of one image, also of one that is kept decoded: on a processor that does everything the sum,
    beside a GPU the longest.
    """
    stages = [stage for stage in STAGES if stage in rates and not (are_kept and stage in ("disk", "decoding"))]
    each = [1 / rates[stage] for stage in stages]
    return max(each) if torch.cuda.is_available() else sum(each)


def _shares(rates: dict[str, float]) -> dict[str, float]:
    """Gives what part of the time of one image each stage takes, were they one after the other."""
    each = {stage: 1 / rates[stage] for stage in STAGES if stage in rates}
    return {stage: seconds / sum(each.values()) for stage, seconds in each.items()} if "step" in each else {}


def _count(data: str | None) -> int | None:
    """Gives the number of training pictures; None where that is not known."""
    if data is None:
        return None
    try:
        return len((Store(data) if is_store(data) else open_source(data)).splits["train"])
    except AlexNetError:
        return None


def _advice(findings: dict[str, Any], is_packed: bool, are_kept: bool) -> Iterator[str]:
    facts, rates, count = findings["machine"], findings["rates"], findings["pictures"]
    if not facts["kernels"]:
        yield "The compiled kernels are missing: install alexnet again with a C++ compiler at hand."
    if facts["threads"] < facts["cores"]:
        yield f"PyTorch takes {facts['threads']} of {facts['cores']} cores: see whether OMP_NUM_THREADS is set."
    if not facts["bf16"]:
        yield "This processor has no bf16 instructions: training runs in float32, at about half the rate."
    yield ADVICE[findings["bound_by"]]
    if count and not is_packed and count / rates["packing"] > WORTH_SAYING_S:
        minutes = count / rates["packing"] / 60
        yield f"The first run packs {count:,} pictures, about {minutes:.0f} min; `alexnet pack` does it beforehand."
    if count and are_kept:
        yield "Decoded, these pictures fit in memory: they are decoded in the first epoch only."
    batch = findings["largest_batch"]
    if batch is not None and batch < PAPER.batch_size:
        yield f"A batch of {PAPER.batch_size} does not fit in memory: train with --set batch_size={max(1, batch)}."


ADVICE = {
    "disk": "The disk bounds training: put the store on a faster one (`alexnet pack`, then train with the store).",
    "decoding": "Decoding bounds training: more processor cores help, or a data set that fits in memory decoded.",
    "augmentation": "Augmentation bounds training: more processor cores help.",
    "transfer": "The way to the GPU bounds training: see whether it sits in a full-width slot.",
    "step": "The training step bounds, as it should: only a smaller network, a smaller --input-size or a faster "
    "processor or GPU changes that.",
    "unknown": "The training step could not be measured.",
}
