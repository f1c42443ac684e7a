"""Loading pictures: ours, packed and not, beside PIL; training from a store; and long stores."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count, repeat
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from alexnet import machine
from alexnet.benches import samples
from alexnet.benches.clock import laps, typical
from alexnet.benches.contest import Contest, Contestant, Notice
from alexnet.benches.findings import Findings, Row
from alexnet.benches.size import Size
from alexnet.benches.train import TWO_TOWER, made_up_batch
from alexnet.config import Train
from alexnet.data import decode
from alexnet.data.augment import augment, draw
from alexnet.data.feed import Batch, Feed, indices
from alexnet.data.pack import pack
from alexnet.data.pictures import MEMORY_BUDGET
from alexnet.data.sources import open_source
from alexnet.data.store import EXAMPLES_PER_SHARD, Store
from alexnet.models.create import create
from alexnet.seeds import generator
from alexnet.training.step import Step


def bench(size: Size, notice: Notice, data: str | None = None) -> Findings:
    """Compares loaders on one core, training from a store with training on made-up pictures, and two long stores."""
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as scratch:
        place = Path(scratch)
        notice("data: preparing pictures" + ("" if data else ", made up, as none were given"))
        folder = samples.write_folder(place / "pictures", data, size.pictures)
        store = pack(open_source(folder), place / "store")
        table = _compare_loaders(folder, store.directory, size, notice)
        table += _compare_training(store.directory, size, notice)
        stores = [(count, samples.grow(store, place / f"store-{count}", count)) for count in size.stores]
        return Findings(table + _compare_lengths(stores, size, notice))


def _compare_loaders(folder: Path, store: Path, size: Size, notice: Notice) -> list[Row]:
    ours = [
        Contestant("packed store", partial(packed, store=store), True, 1),
        Contestant("raw class folder", partial(raw, store=store, folder=folder), True, 1),
    ]
    peer = Contestant("PIL + class folder", partial(pil, store=store, folder=folder), threads=1)
    return Contest([*ours, peer], size, notice).rows("data: {}, one core", "images/s", float, ours, [peer])


def _compare_training(store: Path, size: Size, notice: Notice) -> list[Row]:
    kept = partial(training, store=store, memory_budget=MEMORY_BUDGET)
    synthetic = Contestant("training on synthetic data", training, True)
    ours = [
        Contestant("training from the packed store", partial(training, store=store), True),
        Contestant("training from the packed store, kept decoded", kept, True),
    ]
    contest = Contest([synthetic, *ours], size, notice)
    bound = {"synthetic data": contest.series(synthetic, float)}
    table = contest.rows("data: {}", "images/s", float, ours, bounds=lambda _: bound)
    return table + contest.rows("data: {}", "images/s", float, [synthetic])


def _compare_lengths(stores: list[tuple[int, Path]], size: Size, notice: Notice) -> list[Row]:
    short, long = (
        Contestant(f"{count:,} pictures in the store", partial(packed, store=store), True) for count, store in stores
    )
    return Contest([short, long], size, notice).rows("data: {}", "images/s", float, [long], [short])


def packed(size: Size, store: Path) -> float:
    """Measures the images/s of a packed store: which pictures, decoding, augmentation.

    A shard is mapped when the first of its 1,024 pictures is read; here that happens before.
    """
    opened = Store(store)
    for first in range(0, len(opened.splits["train"]), EXAMPLES_PER_SHARD):
        opened.splits["train"].jpeg(first)
    with closing(_feed(opened, size, torch.float32)) as feed:
        return _rate(feed.batch, size)


def raw(size: Size, store: Path, folder: Path) -> float:
    """Measures the images/s of our reading of a class folder; mean and colours are the store's."""
    opened, listing, train = Store(store), open_source(folder).splits["train"], _settings(size)
    side, mean = _side(size), torch.from_numpy(opened.mean_image)

    def batch(step: int) -> Tensor:
        chosen = indices(0, step, size.batch, len(listing))
        pictures = np.stack([decode.load(listing.read(i), listing.name(i), opened.size) for i in chosen])
        draws = draw(train, opened.covariance, step, opened.size, side)
        return augment(pictures, draws, mean, side, torch.float32)

    return _rate(batch, size)


def pil(size: Size, store: Path, folder: Path) -> float:
    """Measures the images/s of what a `Dataset` over a class folder does, with PIL and numpy."""
    opened, files = Store(store), sorted(folder.rglob("*.*"))
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


def training(size: Size, store: Path | None = None, memory_budget: int = 0) -> float:
    """Measures the images/s of our two-tower training step on pictures from a store, or on one made-up batch."""
    model = create(TWO_TOWER, input_size=size.input_size).to(machine.device())
    step = Step(model, _settings(size), machine.dtype("auto"))
    if store is None:
        images, labels = made_up_batch(size.batch, _side(size))
        return _training_rate(step, repeat((images.to(step.dtype, memory_format=torch.channels_last), labels)), size)
    with (
        closing(_feed(Store(store), size, step.dtype, memory_budget)) as feed,
        closing(feed.batches(count())) as batches,
    ):
        if memory_budget:
            feed.pictures.read(range(len(feed.split)))  # so that what is kept decoded is there from the first step
        return _training_rate(step, batches, size)


def _settings(size: Size) -> Train:
    return Train(variant=TWO_TOWER, batch_size=size.batch)


def _side(size: Size) -> int:
    return size.input_size or 227


def _feed(store: Store, size: Size, dtype: torch.dtype, memory_budget: int = 0) -> Feed:
    threads = torch.get_num_threads()
    return Feed(_settings(size), store, _side(size), dtype, machine.device(), memory_budget, threads=threads)


def _rate(batch: Callable[[int], object], size: Size) -> float:
    steps = count()
    return size.batch / typical(lambda: batch(next(steps)), size.seconds)


def _training_rate(step: Step, batches: Iterator[Batch], size: Size) -> float:
    """Returns the mean images/s after the steps whose batches may have been made in advance."""
    ahead = 3
    times = laps(lambda: step(*next(batches), 0, step.train.learning_rate), size.seconds, ahead + size.steps)[ahead:]
    return size.batch * len(times) / sum(times)
