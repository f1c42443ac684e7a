"""Deep Compression: fewer weights, fewer values, shorter codes; and a table of what each step costs.

    weights -> prune -> retrain -> share -> retrain -> Huffman codes -> file

Each retraining is a training run in a folder of its own, so whatever is interrupted goes on where it was. Zeros and
shared values are held from outside, by hooks on the gradients.

Source: Han, Mao, Dally 2016, Deep Compression (AlexNet on ImageNet: 240 MB to 6.9 MB, 35 times, at no loss).
"""

import copy
import json
import math
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from alexnet import config, machine
from alexnet.compression.prune import hold_zeros, prune, soften_dropout, weights_of
from alexnet.compression.share import hold_values, share
from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.files import alone_in, plain_errors, write
from alexnet.models.network import Network
from alexnet.models.variants import CIFAR
from alexnet.training import run
from alexnet.training.loop import Job, Progress, read_progress
from alexnet.training.observer import Observer
from alexnet.weights import checkpoint, compressed, manifest, sparse

RATE = 0.25
"""Highest learning rate of a retraining over that of the training."""

SHARE_EPOCHS = 1 / 3
"""Epochs of training codebooks over those of training what pruning left."""

START, TABLE, REQUEST = "start.safetensors", "table.json", "request.json"


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        keep: Share of the weights of fc6 and fc7 that stay, in (0, 1].
        epochs: Passes over the training pictures after pruning; `SHARE_EPOCHS` of them after sharing.
        split: What errors are measured on: `val`, `test`, ..., or several joined by `+`.
    """

    keep: float = 0.08
    epochs: float = 12.0
    split: str = "val"

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UsageError(f"the share of weights to keep lies above 0 and is at most 1, got {self.keep:g}")
        if not 0 < self.epochs <= 1000:
            raise UsageError(f"the epochs of retraining lie above 0 and are at most 1000, got {self.epochs:g}")


def compress(
    weights: Path,
    store: Store,
    out: Path,
    plan: Plan,
    follower: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, Any]] | None:
    """Compresses a trained network, or goes on where an earlier call stopped; a finished result is only read.

    Args:
        weights: Weight file.
        store: The data to train and to measure on.
        out: The compressed file to make. Until it is whole, a folder `OUT.work` beside it holds what is done.
        plan: How.
        follower: Is told how it goes.
        should_stop: Asked after every step of training; True saves and stops.

    Returns:
        The table, a row a step: `step`, `bytes`, `ratio` (of all weights and biases in float32 to `bytes`),
        `top1_error`, `top5_error` and `n`, the pictures measured. None if it was stopped.

    Raises:
        UsageError: The file is there and another, the data have other classes, or it is no AlexNet.
        CheckpointError: The weights are damaged.
        TrainingError: The loss is not finite any more.
    """
    trained = checkpoint.load(weights)
    request = {**asdict(plan), "weights": trained.header["crc32"], "data": store.content_hash}
    if out.exists():
        return _finished(out, request)
    if trained.model.variant in CIFAR:
        raise UsageError(f"{trained.model.variant} is small already: compress takes AlexNets")
    if (known := tuple(trained.header["classes"])) != store.classes:
        how = "the classes in another order" if sorted(known) == sorted(store.classes) else "other classes"
        raise UsageError(f"{weights} knows {how} than {store.name}; give the data that it was trained with")
    store = copy.copy(store)
    store.mean_image = np.rint(trained.mean).clip(0, 255)  # the file has a byte a number
    if out.name == compressed.NAME and (out.parent / "model.safetensors").exists():
        raise UsageError(f"{out.parent} holds a run, whose weights come first; give another --out")
    work = out.with_name(f"{out.name}.work")
    float32_bytes = 4 * sum(parameter.numel() for parameter in trained.model.parameters())
    with plain_errors(work.parent):
        work.mkdir(parents=True, exist_ok=True)
    with alone_in(work, "is being worked in by another program: wait for it, or stop it"):
        _claim(work, request)
        table = _Table(work / TABLE, store, plan.split, float32_bytes)
        retrain = _Retraining(trained.header, store, work, table, follower or Observer(), should_stop)
        del trained  # memory: every step reads what it needs

        table.measure("trained", weights, float32_bytes)
        cut = partial(_cut, keep=plan.keep)
        pruned = retrain("pruned", weights, cut, hold_zeros, _bytes_pruned, plan.epochs)
        if pruned is None:
            return None
        shared = retrain("shared", pruned, share, hold_values, _bytes_shared, SHARE_EPOCHS * plan.epochs)
        if shared is None:
            return None
        retrain.follower.began("coding")
        result, coded = checkpoint.load(shared), work / out.name
        for name, group in hold_values(checkpoint.load(shared.parent / START).model).items():
            group.average(weights_of(result.model)[name].detach())  # rounding may have parted members by a last bit
        kept = {name: value for name, value in retrain.header.items() if name not in _OF_OTHER_FILES}
        compressed.save(coded, result.model, result.mean, {**kept, "compression": {"request": request}})
        table.measure("Huffman", coded, coded.stat().st_size)
        compression = {"request": request, "table": table.rows}
        with manifest.renewed(out) if out.name == compressed.NAME else nullcontext():
            compressed.save(out, result.model, result.mean, {**kept, "compression": compression})
        shutil.rmtree(work)
        return table.rows


_OF_OTHER_FILES = ("progress", "metrics", "step")


def _finished(out: Path, request: dict[str, Any]) -> list[dict[str, Any]]:
    compression = compressed.read_header(out).get("compression", {})
    if compression.get("request") != request:
        raise UsageError(f"{out} was made of other weights, with other data or settings; give another --out")
    table: list[dict[str, Any]] = compression["table"]
    return table


def _claim(work: Path, request: dict[str, Any]) -> None:
    """Makes sure that the work folder is new, or an equal request's."""
    note = work / REQUEST
    if not (work / TABLE).exists():  # nothing worth keeping yet
        write(note, json.dumps(request))
    if json.loads(note.read_text(encoding="utf-8")) != request:
        raise UsageError(f"{work} was begun with other weights, data or settings; delete it or give another --out")


@dataclass
class _Table:
    """What each step costs; kept in a file.

    Attributes:
        path: The file.
        store: What to measure on.
        split: Which part of it.
        float32_bytes: All weights and biases.
        rows: So far.
    """

    path: Path
    store: Store
    split: str
    float32_bytes: int
    rows: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else []

    def measure(self, step: str, weights: Path, size: int) -> None:
        """Measures a weight file and adds a row, unless it is there."""
        if any(row["step"] == step for row in self.rows):
            return
        summary, _ = evaluate([load(weights)], self.store, self.split)
        figures = {name: summary[name] for name in ("top1_error", "top5_error", "n")}
        self.rows.append({"step": step, "bytes": size, "ratio": self.float32_bytes / size, **figures})
        write(self.path, json.dumps(self.rows))


@dataclass
class _Retraining:
    """Changes a network and trains it again under what the change demands.

    Attributes:
        header: Of the trained network's weight file.
        store: The data.
        work: The folder for its own.
        table: To which it adds two rows, before and after.
        follower: Is told how it goes.
        should_stop: Asked after every step of training.
    """

    header: dict[str, Any]
    store: Store
    work: Path
    table: _Table
    follower: Observer
    should_stop: Callable[[], bool]

    def __call__(
        self,
        name: str,
        weights: Path,
        change: Callable[[Network], None],
        hold: Callable[[Network], object],
        size: Callable[[Network], int],
        epochs: float,
    ) -> Path | None:
        """Gives the weight file in the end; None if it was stopped."""
        folder = self.work / name
        settings = self.settings(epochs)
        if not (folder / START).exists():
            shutil.rmtree(folder, ignore_errors=True)
            model = checkpoint.load(weights).model
            change(model)
            header = run.create(folder, settings, model, self.store, name)
            checkpoint.save(folder / START, model, self.store.mean_image, header)
        model = checkpoint.load(folder / START).model.to(machine.device())
        bytes_now = size(model)
        self.table.measure(name, folder / START, bytes_now)
        if not (folder / run.BEST).exists():
            self.follower.began(f"training again, {name}")
            hold(model)
            if not self.train(folder, model, settings):
                return None
        (folder / run.LAST).unlink(missing_ok=True)
        self.table.measure(f"{name}, retrained", folder / run.BEST, bytes_now)
        return folder / run.BEST

    def train(self, folder: Path, model: Network, settings: Train) -> bool:
        """Trains to the end, from the last save if there is one; False if it was stopped."""
        progress, momentum = Progress(), {}
        if (folder / run.LAST).exists():
            saved = checkpoint.load(folder / run.LAST)
            model.load_state_dict(saved.model.state_dict())
            progress, momentum = read_progress(saved.header, folder / run.LAST), saved.momentum
        job = Job(settings, self.store, folder, model, momentum, progress, self.follower)
        return job.run(self.should_stop)

    def settings(self, epochs: float) -> Train:
        """Gives how to train again: as the network was trained, more gently, measured at the end alone."""
        trained = replace(config.MODERN, divide_pixels_by=self.header["preprocessing"]["divide_pixels_by"])
        if "train" in self.header:
            trained = config.from_json(self.header["train"])
        rate = RATE * trained.learning_rate
        once = config.RANGES["evaluate_every"][1]
        trained = replace(trained, epochs=epochs, steps=None, evaluate_every=once)
        return replace(trained, schedule="one-cycle", warm_up=0.1, learning_rate=rate)


def _cut(model: Network, keep: float) -> None:
    prune(model, keep)
    soften_dropout(model, keep)


def _bytes_pruned(model: Network) -> int:
    """Gives the bytes with 32 bits for each weight that is left."""
    return sum(_bytes(tensor, 32) for tensor in model.state_dict().values())


def _bytes_shared(model: Network) -> int:
    """Gives the bytes with a place in the codebook for each weight that is left, and the codebooks."""
    total = 0
    for tensor in model.state_dict().values():
        values = len(tensor[tensor != 0].unique())
        total += _bytes(tensor, math.ceil(math.log2(max(2, values)))) + (4 * values if tensor.dim() > 1 else 0)
    return total


def _bytes(tensor: Tensor, bits: int) -> int:
    """Gives the bytes with so many bits for each weight that is left and 8 for each gap; biases are float32."""
    if tensor.dim() == 1:
        return 4 * tensor.numel()
    places = np.flatnonzero(tensor.cpu().numpy())
    return len(sparse.gap_symbols(places)) + math.ceil(bits * len(places) / 8)
