"""What bounds training on this machine with this data, and what to change."""

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from alexnet import precision
from alexnet.bench import machine, samples
from alexnet.bench.clock import typical
from alexnet.bench.rounds import Contestant, Failed, Notice, launch
from alexnet.bench.size import Size
from alexnet.config import Train
from alexnet.data.augment import augment, draw
from alexnet.data.pictures import MEMORY_BUDGET, Pictures
from alexnet.data.shards import is_store
from alexnet.data.sources import open_source
from alexnet.data.store import Store, pack
from alexnet.errors import AlexNetError
from alexnet.models.variants import stored_size, variant

READ_AT_MOST = 256 << 20
PATIENCE_MIN = 2
"""Packing that takes longer than this is worth a word."""

STAGES = ("disk", "decoding", "augmentation", "transfer", "step")


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
        `{"machine", "rates", "bound_by", "advice", "largest_batch", "shares"}`: rates in images/s, but for
        `disk_mb_per_s`; shares of the time of one image that each stage takes.

    Raises:
        UsageError, DataError: There is no such network or data.
    """
    _check(variant)
    size = size or Size()
    facts = machine.describe()
    with tempfile.TemporaryDirectory(prefix="alexnet-doctor-") as made:
        rates = _measure(Path(made), data, variant, size, notice)
    memory = rates.pop("peaks")
    shares = _shares(rates, facts["gpu"] is not None)
    rates["training"] = _training_rate(rates, facts["gpu"] is not None)
    findings = {"machine": facts, "rates": rates, "shares": shares, "largest_batch": _largest_batch(memory, size)}
    bound = max(shares, key=lambda stage: shares[stage], default="nothing that could be measured")
    return {**findings, "bound_by": bound, "advice": list(_advice(findings, bound, _count(data), variant))}


def measure(size: Size, store: str, variant: str) -> dict[str, float]:
    """Measures decoding, augmentation and transfer of batches, each by itself, with all threads."""
    opened, train, dtype = Store(store), Train(variant=variant, batch_size=size.batch), precision.dtype("auto")
    side = _input_size(variant, size)
    pictures = Pictures(opened.splits["train"], opened.size, 0)
    chosen = np.arange(size.batch) % len(pictures)
    batch, draws = pictures.read(chosen), draw(train, opened.covariance, 0, opened.size, side)
    seconds = {
        "decoding": typical(lambda: pictures.read(chosen), size.seconds),
        "augmentation": typical(lambda: augment(batch, draws, opened.mean_image, side, dtype), size.seconds),
    }
    if precision.device().type == "cuda":
        images = augment(batch, draws, opened.mean_image, side, dtype)
        seconds["transfer"] = typical(lambda: images.to(precision.device()), size.seconds)
    pictures.close()
    return {name: size.batch / each for name, each in seconds.items()}
