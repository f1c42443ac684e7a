"""Loading pictures: ours, packed and not, beside PIL; training from a store; and long stores."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from alexnet import machine
from alexnet.benches import samples
from alexnet.benches.clock import laps, typical
from alexnet.benches.rounds import Contest, Contestant, Notice, Result
from alexnet.benches.size import Size
from alexnet.benches.train import TWO_TOWER, made_up_batch
from alexnet.config import Train
from alexnet.data import decode
from alexnet.data.augment import augment, draw
from alexnet.data.batches import indices, prefetch
from alexnet.data.pictures import MEMORY_BUDGET, Pictures
from alexnet.data.shards import EXAMPLES_PER_SHARD
from alexnet.data.sources import open_source
from alexnet.data.store import Store, pack
from alexnet.models.create import create
from alexnet.seeds import generator
from alexnet.training.step import Step

Batch = tuple[Tensor, Tensor]


def bench(size: Size, notice: Notice, data: str | None = None) -> Result:
    """Compares loaders on one core, training from a store with training on made-up pictures, and two long stores."""
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as made:
        place = Path(made)
        notice("data: preparing pictures" + ("" if data else ", made up: --data takes your own"))
        folder = samples.write_folder(place / "pictures", data, size.pictures)
        store = pack(open_source(folder), place / "store")
        result = Result()
        _compare_loaders(result, str(folder), str(store.directory), size, notice)
        _compare_training(result, str(store.directory), size, notice)
        long = {n: str(samples.grow(store, place / f"store-{n}", n)) for n in size.stores}
        _compare_lengths(result, long, size, notice)
    return result


def packed(size: Size, store: str) -> dict[str, float]:
    """Measures a packed store: which pictures, decoding, augmentation.

    A shard is mapped when the first of its 1,024 pictures is read; here that is done before.
    """
    opened = Store(store)
    for first in range(0, len(opened.splits["train"]), EXAMPLES_PER_SHARD):
        opened.splits["train"].jpeg(first)
    with _batches(opened, size, torch.float32) as batch:
        return _rate(batch, size)


def raw(size: Size, store: str, folder: str) -> dict[str, float]:
    """Measures our reading of a class folder on one core; mean and colours are the store's."""
    opened, listing, train = Store(store), open_source(folder).splits["train"], _settings(size)
    side, mean = _side(size), torch.from_numpy(opened.mean_image)

    def batch(step: int) -> Tensor:
        chosen = indices(0, step, size.batch, len(listing))
        pictures = np.stack([decode.load(listing.read(i), listing.name(i), opened.size) for i in chosen])
        draws = draw(train, opened.covariance, step, opened.size, side)
        return augment(pictures, draws, mean, side, torch.float32)

    return _rate(batch, size)


def pil(size: Size, store: str, folder: str) -> dict[str, float]:
    """Measures what a `Dataset` over a class folder does on one core, with PIL and numpy."""
    opened, files = Store(store), sorted(Path(folder).rglob("*.*"))
    eigenvalues, components = np.linalg.eigh(opened.covariance)
    mean, side = opened.mean_image.mean((0, 1)), _side(size)

    def item(file: Path, dice: np.random.Generator) -> NDArray[np.float32]:
        picture = Image.open(file).convert("RGB")
        scale = opened.size / min(picture.size)
        picture = picture.resize([round(edge * scale) for edge in picture.size], Image.Resampling.BILINEAR)
        left, top = (int(dice.integers(edge - side + 1)) for edge in picture.size)
        pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float32)
        if dice.integers(2):
            pixels = pixels[:, ::-1]
        colour = 255 * components @ (dice.normal(0, 0.1, 3) * eigenvalues)
        return np.ascontiguousarray((pixels - mean + colour.astype(np.float32)).transpose(2, 0, 1))

    def batch(step: int) -> Tensor:
        dice = generator(0, "PIL", step)
        chosen = indices(0, step, size.batch, len(files))
        return torch.from_numpy(np.stack([item(files[i], dice) for i in chosen]))

    return _rate(batch, size)


def training(size: Size, store: str | None, memory_budget: int = 0) -> dict[str, float]:
    """Measures our two-tower training step on pictures from a store, or on one made-up batch.

    As in `training.loop`, a thread makes batches in advance.
    """
    dtype = machine.dtype("auto")
    model = create(TWO_TOWER, input_size=size.input_size).to(machine.device())
    step = Step(model, _settings(size), dtype)
    if store is None:
        images, labels = made_up_batch(size.batch, model.input_size)
        return _training_rate(step, repeat((images.to(dtype, memory_format=torch.channels_last), labels)), size)
    with _batches(Store(store), size, dtype, memory_budget) as make, closing(prefetch(make, count())) as made:
        return _training_rate(step, made, size)


def _compare_loaders(result: Result, folder: str, store: str, size: Size, notice: Notice) -> None:
    both = {"store": store, "folder": folder}
    peer = Contestant("PIL + class folder", "benches.data.pil", both, threads=1)
    ours = [
        Contestant("packed store", "benches.data.packed", {"store": store}, True, 1),
        Contestant("raw class folder", "benches.data.raw", both, True, 1),
    ]
    contest = Contest([*ours, peer], size, notice)
    base = {peer.name: contest(peer.name, "images/s")}
    for entry in ours:
        result.row(f"data: {entry.name}, one core", "images/s", contest(entry.name, "images/s"), base)
    result.row(f"data: {peer.name}, one core", "images/s", base[peer.name])


def _compare_training(result: Result, store: str, size: Size, notice: Notice) -> None:
    def entry(name: str, **arguments: Any) -> Contestant:
        return Contestant(name, "benches.data.training", arguments, keeps_memory=True)

    base = entry("training on synthetic data", store=None)
    ours = [
        entry("training from the packed store", store=store),
        entry("training from the packed store, kept decoded", store=store, memory_budget=MEMORY_BUDGET),
    ]
    contest = Contest([base, *ours], size, notice)
    synthetic = contest(base.name, "images/s")
    for each in ours:
        result.row(f"data: {each.name}", "images/s", contest(each.name, "images/s"), {"synthetic data": synthetic})
    result.row(f"data: {base.name}", "images/s", synthetic)


def _compare_lengths(result: Result, stores: dict[int, str], size: Size, notice: Notice) -> None:
    names = {n: f"{n:,} pictures in the store" for n in stores}
    entries = [Contestant(names[n], "benches.data.packed", {"store": store}, True) for n, store in stores.items()]
    contest = Contest(entries, size, notice)
    short, long = (contest(entry.name, "images/s") for entry in entries)
    result.row(f"data: {entries[1].name}", "images/s", long, {entries[0].name: short})
    result.row(f"data: {entries[0].name}", "images/s", short)


def _settings(size: Size) -> Train:
    return Train(variant=TWO_TOWER, batch_size=size.batch)


def _side(size: Size) -> int:
    return size.input_size or 227


@contextmanager
def _batches(store: Store, size: Size, dtype: torch.dtype, budget: int = 0) -> Iterator[Callable[[int], Batch]]:
    """Gives a function that makes the batch of a step, the way `training.loop` does; all decoded before if it fits."""
    train, split, device, side = _settings(size), store.splits["train"], machine.device(), _side(size)
    mean = torch.from_numpy(store.mean_image).to(device)
    pictures = Pictures(split, store.size, budget, torch.get_num_threads())

    def batch(step: int) -> Batch:
        chosen = indices(train.seed, step, train.batch_size, len(split))
        draws = draw(train, store.covariance, step, store.size, side)
        images = augment(pictures.read(chosen), draws, mean, side, dtype)
        return images, torch.from_numpy(split.labels[chosen]).to(device)

    try:
        if budget:
            pictures.read(range(len(split)))
        yield batch
    finally:
        pictures.close()


def _rate(batch: Callable[[int], object], size: Size) -> dict[str, float]:
    steps = count()
    return {"images/s": size.batch / typical(lambda: batch(next(steps)), size.seconds)}


def _training_rate(step: Step, batches: Iterator[Batch], size: Size) -> dict[str, float]:
    """Gives the mean rate, after as many steps as may have been made in advance."""
    ahead = 3
    taken = laps(lambda: step(*next(batches), 0, step.train.learning_rate), size.seconds, ahead + size.steps)[ahead:]
    return {"images/s": size.batch * len(taken) / sum(taken)}
