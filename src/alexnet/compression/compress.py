"""Deep Compression: fewer weights, fewer values, shorter codes; and a table of what each step costs.

    weights -> prune -> retrain -> share -> retrain -> Huffman codes -> file

Each retraining is a run in a folder of its own, so an interrupted compression goes on where it was. Hooks on the
gradients hold zeros and shared values.

Source: Han, Mao, Dally 2016, Deep Compression (AlexNet on ImageNet: 240 MB to 6.9 MB, 35 times, at no loss).
"""

import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from msgspec import structs

from alexnet import config, machine, recipes, records
from alexnet.compression import prune, share, table
from alexnet.compression.table import Table
from alexnet.config import Train
from alexnet.data.store import Store
from alexnet.errors import CheckpointError, UsageError
from alexnet.files import alone_in, plain_errors, write
from alexnet.models.network import Network
from alexnet.models.variants import CIFAR
from alexnet.observer import Observer
from alexnet.records import Compression, CompressionRequest, CompressionStep, Header
from alexnet.run import Run, describe
from alexnet.training.loop import resume
from alexnet.weights import checkpoint, compressed, manifest
from alexnet.weights.checkpoint import Checkpoint

SHARE_EPOCHS = 1 / 3  # epochs of training codebooks over those of training what pruning left
RATE = 0.25  # highest learning rate of a retraining over that of the training
REQUEST = "request.json"
START = "start.safetensors"  # the changed network before it is trained again, in the run folder of its training


@dataclass(frozen=True)
class Plan:
    """How to compress.

    Attributes:
        keep: Fraction of the weights of fc6 and fc7 that stay, in (0, 1].
        epochs: Passes over the training pictures after pruning, in (0, 1000]; `SHARE_EPOCHS` of them after sharing.
        split: What errors are measured on: `val`, `test`, ..., or several joined by `+`.
    """

    keep: float = 0.08
    epochs: float = 12.0
    split: str = "val"

    def __post_init__(self) -> None:
        if not 0 < self.keep <= 1:
            raise UsageError(f"the fraction of weights to keep lies above 0 and is at most 1, got {self.keep:g}")
        if not 0 < self.epochs <= 1000:
            raise UsageError(f"the epochs of retraining lie above 0 and are at most 1000, got {self.epochs:g}")


@dataclass(frozen=True)
class Stage:
    """A change of a network that takes `size` bytes afterwards, and the epochs of training that hold the change."""

    name: str
    change: Callable[[Network], None]
    hold: Callable[[Network], object]
    size: Callable[[Network], int]
    epochs: float


def compress(
    weights: Path, store: Store, out: Path, plan: Plan, observer: Observer | None = None
) -> tuple[CompressionStep, ...] | None:
    """Compresses a trained network, or goes on where an earlier call stopped; a finished result is only read.

    Args:
        weights: Weight file.
        store: The data to train and to measure on.
        out: The compressed file to make. Until it is whole, a folder `OUT.work` beside it holds what is done.
        plan: How to compress.
        observer: Is told how it goes, and may stop it after any step of training.

    Returns:
        The table, a row a step; None if it was stopped.

    Raises:
        UsageError: The file or its work folder was made by another request, the data have other classes, the network
            is no AlexNet, or another program works in the folder.
        CheckpointError: The weights, the finished file or the work folder are damaged.
        TrainingError: The loss is no longer finite.
    """
    trained = checkpoint.load(weights)
    request = CompressionRequest(
        keep=plan.keep, epochs=plan.epochs, split=plan.split, weights=trained.header.crc32, data=store.content_hash
    )
    if out.exists():
        return _finished(out, request)
    _check(trained, weights, store, out)
    store = store.with_mean(np.rint(trained.mean).clip(0, 255))  # the file has a byte a number
    work, observer = out.with_name(f"{out.name}.work"), observer or Observer()
    with plain_errors(work.parent):
        work.mkdir(parents=True, exist_ok=True)
    with alone_in(work, "is being worked in by another program: wait for it, or stop it"):
        _claim(work, request)
        costs, header = Table(work, store, plan.split, trained.model), trained.header
        del trained  # memory: every step reads what it needs
        costs.measure("trained", weights, costs.float32_bytes)
        for stage in _stages(plan):
            retrained = _retrain(stage, weights, header, costs, observer)
            if retrained is None:
                return None
            weights = retrained
        observer.began("coding")
        _code(weights, header, request, costs, out)
        shutil.rmtree(work)
        return costs.rows


def _finished(out: Path, request: CompressionRequest) -> tuple[CompressionStep, ...]:
    compression = compressed.read_header(out).compression
    if compression is None or compression.request != request:
        raise UsageError(f"{out} was made of other weights, with other data or settings; choose another place")
    return compression.table


def _check(trained: Checkpoint, weights: Path, store: Store, out: Path) -> None:
    if trained.model.variant in CIFAR:
        raise UsageError(f"{trained.model.variant} is small already: compress takes AlexNets")
    if (classes := trained.header.classes) != store.classes:
        how = "the classes in another order" if sorted(classes) == sorted(store.classes) else "other classes"
        raise UsageError(f"{weights} knows {how} than {store.name}; give the data that it was trained with")
    if out.name == compressed.NAME and Run(out.parent).best.exists():
        raise UsageError(f"{out.parent} holds a run, whose weights come first; choose another place")


def _claim(work: Path, request: CompressionRequest) -> None:
    """Makes sure that the work folder is new, or was begun by an equal request."""
    note = work / REQUEST
    if not (work / table.NAME).exists():  # nothing worth keeping yet
        write(note, records.sealed(request))
    text = note.read_bytes() if note.exists() else b""
    if records.read(CompressionRequest, text, note, CheckpointError, f"delete {work} to begin anew") != request:
        raise UsageError(f"{work} was begun with other weights, data or settings; delete it or choose another place")


def _stages(plan: Plan) -> tuple[Stage, Stage]:
    def cut(model: Network) -> None:
        prune.prune(model, plan.keep)
        prune.soften_dropout(model, plan.keep)

    return (
        Stage("pruned", cut, prune.hold_zeros, table.pruned_bytes, plan.epochs),
        Stage("shared", share.share, share.hold_values, table.shared_bytes, SHARE_EPOCHS * plan.epochs),
    )


def _retrain(stage: Stage, weights: Path, header: Header, costs: Table, observer: Observer) -> Path | None:
    """Changes a network and trains it again, or goes on where an earlier call stopped; None if it was stopped."""
    run = Run(costs.folder / stage.name)
    start = run.folder / START
    if not start.exists():  # it is written last, so the change was not finished
        shutil.rmtree(run.folder, ignore_errors=True)
        model = checkpoint.load(weights).model
        stage.change(model)
        description = describe(replace(_gentler(header), epochs=stage.epochs), model, costs.store, stage.name)
        run.create(description)
        checkpoint.save(start, model, costs.store.mean_image, Header.of(description, model.design))
    model = checkpoint.load(start).model.to(machine.device())
    size = stage.size(model)
    costs.measure(stage.name, start, size)
    if not run.best.exists():
        observer.began(f"training again, {stage.name}")
        stage.hold(model)
        with resume(costs.store, run, observer, start=model) as training:
            if not training.run():
                return None
    run.last.unlink(missing_ok=True)
    costs.measure(f"{stage.name}, retrained", run.best, size)
    return run.best


def _gentler(header: Header) -> Train:
    """Returns the settings of the training, or else the modern ones, with a lower rate that rises and falls once."""
    modern = replace(recipes.MODERN, divide_pixels_by=header.preprocessing.divide_pixels_by)
    trained, at_the_end = header.settings or modern, config.RANGES["evaluate_every"][1]
    trained = replace(trained, learning_rate=RATE * trained.learning_rate, evaluate_every=at_the_end)
    trained = replace(trained, head_first=False, body_rate=1.0, freeze="none")
    return replace(trained, steps=None, schedule="one-cycle", warm_up=0.1)


def _code(shared: Path, header: Header, request: CompressionRequest, costs: Table, out: Path) -> None:
    """Writes the compressed file twice: once to measure it, and then with the whole table in its header."""
    result, coded = checkpoint.load(shared), costs.folder / out.name
    for name, group in share.hold_values(checkpoint.load(shared.with_name(START)).model).items():
        group.average(prune.weights_of(result.model)[name].detach())  # rounding may have parted members by a last bit
    compression = Compression(request=request)
    header = structs.replace(header, progress=None, metrics=None, step=None, compression=compression)
    compressed.save(coded, result.model, result.mean, header)
    costs.measure("Huffman", coded, coded.stat().st_size)
    header = structs.replace(header, compression=structs.replace(compression, table=costs.rows))
    with manifest.renewed(out) if out.name == compressed.NAME else nullcontext():
        compressed.save(out, result.model, result.mean, header)
