"""Loading pictures: ours, packed and not, beside PIL; training from a store; and long stores."""

import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, closing
from functools import partial
from itertools import count, cycle, islice, repeat
from pathlib import Path

import numpy as np
import torch
from msgspec.structs import replace
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from alexnet import machine
from alexnet.benches.contest import Contest, Contestant, Notice, laps, typical
from alexnet.benches.findings import Findings, Size
from alexnet.benches.train import TWO_TOWER, made_up_batch, plain_step
from alexnet.config import Train
from alexnet.data import decode
from alexnet.data.augment import augment, draw
from alexnet.data.feed import Batch, Feed, indices
from alexnet.data.leaving import PICTURES
from alexnet.data.manifest import MANIFEST, MEAN_IMAGE, File, is_store, read_manifest, shard_name
from alexnet.data.open import open_undecoded
from alexnet.data.pack import pack
from alexnet.data.pictures import MEMORY_BUDGET
from alexnet.data.sources import open_source
from alexnet.data.store import EXAMPLES_PER_SHARD, Store
from alexnet.files import from_home
from alexnet.models.create import create
from alexnet.seeds import generator
from alexnet.training.step import Step

SIDE = 227  # of the two-tower network's input
MADE_UP = 100
SIDES, QUALITY = (500, 375), 95
"""The mean size of an ImageNet photograph; at this quality a made-up one has its mean length, about 100 kB."""
AHEAD = 3
"""Steps of a training whose batches may have been made in advance."""


def bench(size: Size, notice: Notice, data: str | None = None) -> Findings:
    """Compares loaders on one core, training from a store with training on made-up pictures, and two long stores."""
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as scratch:
        place = Path(scratch)
        notice("data: preparing pictures" + ("" if data else ", made up, as none were given"))
        folder = write_folder(place / "pictures", examples(data), size.pictures)
        store = pack(open_source(folder), place / "store")
        at = str(store.directory)

        loaders = [
            Contestant("packed store", partial(packed, store=at), True, 1),
            Contestant("raw class folder", partial(raw, store=at, folder=str(folder)), True, 1),
        ]
        peer = Contestant("PIL + class folder", partial(pil, store=at, folder=str(folder)), threads=1)
        contest = Contest([*loaders, peer], size, notice)
        table = contest.rows("data: {}, one core", "images/s", float, loaders, [peer])

        synthetic = Contestant("training on synthetic data", training, True)
        kept = partial(training, store=at, memory_budget=MEMORY_BUDGET)
        trainings = [
            Contestant("training from the packed store", partial(training, store=at), True),
            Contestant("training from the packed store, kept decoded", kept, True),
        ]
        plain = Contestant("plain PyTorch from the class folder", partial(plain_training, store=at, folder=str(folder)))
        contest = Contest([synthetic, *trainings, plain], size, notice)
        bound = {"synthetic data": contest.series(synthetic, float)}
        table += contest.rows("data: {}", "images/s", float, trainings, [plain], bounds=lambda _: bound)
        table += contest.rows("data: {}", "images/s", float, [synthetic])

        lengths = [
            Contestant(f"{length:,} pictures in the store", partial(packed, store=str(grown)), True)
            for length in size.stores
            for grown in [grow(store, place / f"store-{length}", length)]
        ]
        contest = Contest(lengths, size, notice)
        return Findings(table + contest.rows("data: {}", "images/s", float, lengths[1:], lengths[:1]))


def packed(size: Size, store: str) -> float:
    """Measures the images/s of a packed store: which pictures, decoding, augmentation.

    A shard is mapped when the first of its 1,024 pictures is read; here that happens before.
    """
    opened = Store(store)
    for first in range(0, len(opened.splits["train"]), EXAMPLES_PER_SHARD):
        opened.splits["train"].jpeg(first)
    with closing(_feed(opened, size, torch.float32)) as feed:
        return _rate(feed.batch, size)


def raw(size: Size, store: str, folder: str) -> float:
    """Measures the images/s of our reading of a class folder; mean and colours are the store's."""
    opened, listing = Store(store), open_source(folder).splits["train"]
    settings, side = Train(variant=TWO_TOWER, batch_size=size.batch), size.input_size or SIDE
    mean = torch.from_numpy(opened.mean_image)

    def batch(step: int) -> Tensor:
        chosen = indices(0, step, size.batch, len(listing))
        pictures = np.empty((size.batch, opened.size, opened.size, 3), np.uint8)
        for place, i in zip(pictures, chosen, strict=True):
            place[:] = decode.load(listing.read(i), listing.name(i), opened.size)
        draws = draw(settings, opened.covariance, step, opened.size, side)
        return augment(pictures, draws, mean, side, torch.float32)

    return _rate(batch, size)


def pil(size: Size, store: str, folder: str) -> float:
    """Measures the images/s of what a `Dataset` over a class folder does, with PIL and numpy."""
    pictures = PlainPictures(Store(store), Path(folder), size.input_size or SIDE)

    def batch(step: int) -> Tensor:
        return torch.stack([pictures[i][0] for i in indices(0, step, size.batch, len(pictures))])

    return _rate(batch, size)


class PlainPictures(Dataset[tuple[Tensor, int]]):
    """A class folder as most people read it: PIL, a crop, a reflection and PCA colour in numpy, a picture at a time."""

    def __init__(self, store: Store, folder: Path, side: int) -> None:
        self.files = sorted(folder.rglob("*.*"))
        self.labels = {name: i for i, name in enumerate(sorted({file.parent.name for file in self.files}))}
        self.eigenvalues, self.components = np.linalg.eigh(store.covariance)
        self.mean, self.stored_side, self.side = store.mean_image.mean((0, 1)), store.size, side

    def __len__(self) -> int:
        """Returns the number of pictures."""
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        """Returns a random crop of a picture (3, side, side), mean subtracted, and its label."""
        dice, side = np.random.default_rng(), self.side
        picture = Image.open(self.files[i]).convert("RGB")
        scale = self.stored_side / min(picture.size)
        picture = picture.resize([round(edge * scale) for edge in picture.size], Image.Resampling.BILINEAR)
        left, top = (int(dice.integers(edge - side + 1)) for edge in picture.size)
        pixels = np.asarray(picture.crop((left, top, left + side, top + side)), np.float32)
        if dice.integers(2):
            pixels = pixels[:, ::-1]
        colour = 255 * self.components @ (dice.normal(0, 0.1, 3) * self.eigenvalues)
        image = np.ascontiguousarray((pixels - self.mean + colour.astype(np.float32)).transpose(2, 0, 1))
        return torch.from_numpy(image), self.labels[self.files[i].parent.name]


def plain_training(size: Size, store: str, folder: str) -> float:
    """Measures the mean images/s of plain PyTorch: `DataLoader` over a class folder, a worker a core, float32."""
    pictures = PlainPictures(Store(store), Path(folder), size.input_size or SIDE)
    step, device = plain_step(TWO_TOWER, pictures.side), machine.device()
    order = RandomSampler(pictures, replacement=True, num_samples=1 << 30)  # as good as without end
    batches = iter(DataLoader(pictures, size.batch, sampler=order, num_workers=machine.cores()))

    def lap() -> float:
        images, labels = next(batches)
        return step(images.to(device), labels.to(device))

    return _training_rate(lap, size)


def training(size: Size, store: str | None = None, memory_budget: int = 0) -> float:
    """Measures the mean images/s of our two-tower training step on pictures from a store, or on one made-up batch."""
    model = create(TWO_TOWER, input_size=size.input_size).to(machine.device())
    step = Step(model, Train(variant=TWO_TOWER, batch_size=size.batch), machine.dtype("auto"))
    with ExitStack() as stack:
        if store is None:
            images, labels = made_up_batch(size.batch, size.input_size or SIDE)
            batches: Iterator[Batch] = repeat((images.to(step.dtype, memory_format=torch.channels_last), labels))
        else:
            feed = stack.enter_context(closing(_feed(Store(store), size, step.dtype, memory_budget)))
            batches = stack.enter_context(closing(feed.batches(count())))
            if memory_budget:
                feed.pictures.read(range(len(feed.split)))  # what is kept decoded is there from the first step
        learning_rate = step.train.learning_rate
        return _training_rate(lambda: step(*next(batches), 0, learning_rate), size)


def _training_rate(step: Callable[[], object], size: Size) -> float:
    times = laps(step, size.seconds, AHEAD + size.steps)[AHEAD:]
    return size.batch * len(times) / sum(times)


def _feed(store: Store, size: Size, dtype: torch.dtype, memory_budget: int = 0) -> Feed:
    settings, threads = Train(variant=TWO_TOWER, batch_size=size.batch), torch.get_num_threads()
    return Feed(settings, store, size.input_size or SIDE, dtype, machine.device(), memory_budget, threads=threads)


def _rate(batch: Callable[[int], object], size: Size) -> float:
    steps = count()
    return size.batch / typical(lambda: batch(next(steps)), size.seconds)


def write_folder(place: Path, pictures: Iterable[tuple[str, bytes]], number: int) -> Path:
    """Writes a number of pictures, by their endings and contents, into a folder of two classes, which take turns.

    The pictures are repeated where there are fewer.
    """
    pictures = list(islice(pictures, number))
    folders = [place / "a", place / "b"]
    for folder in folders:
        folder.mkdir(parents=True)
    for i, (ending, content) in enumerate(islice(cycle(pictures), number)):
        (folders[i % 2] / f"{i:06d}{ending}").write_bytes(content)
    return place


def examples(data: str | None) -> Iterator[tuple[str, bytes]]:
    """Yields ending and content of each picture of a folder, a tar file, a source or a store; None makes some up.

    Raises:
        UsageError: There is no such source.
        DataError: The source cannot be read.
    """
    if data is None:
        yield from ((".jpg", photograph(seed)) for seed in range(MADE_UP))
        return
    path = from_home(data)
    if not is_store(path) and next(files_below(path, PICTURES), None):
        yield from ((file.suffix, file.read_bytes()) for file in files_below(path, PICTURES))
    elif path.is_file() and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                ending = Path(member.name).suffix
                if ending.lower() in PICTURES and (content := archive.extractfile(member)):
                    yield ending, content.read()
    else:
        listing = open_undecoded(data).splits["train"]
        for i in range(len(listing)):
            ending = Path(listing.name(i)).suffix
            yield ending if ending.lower() in PICTURES else ".png", listing.read(i)


def files_below(path: Path, endings: AbstractSet[str] | None = None) -> Iterator[Path]:
    """Yields the ordinary files below a folder, all or those of some endings; none where there is no folder."""
    for folder, _, names in os.walk(path):
        files = (Path(folder, name) for name in names if not endings or Path(name).suffix.lower() in endings)
        yield from filter(Path.is_file, files)  # a pipe may wait for ever


def photograph(seed: int) -> bytes:
    """Makes up a JPEG with the spectrum of photographs: noise whose strength falls with its frequency."""
    dice = generator(seed, "photograph")
    width, height = SIDES
    pixels = np.full((height, width, 3), 128.0, np.float32)
    for octave in range(10):
        coarse = dice.normal(0, 60 / 1.2**octave, (2 + (3 << octave) // 4, 2 + (1 << octave), 3)).astype(np.float32)
        coarse = 0.8 * coarse.mean(axis=2, keepdims=True) + 0.2 * coarse  # colours are paler than light and shade
        layers = [Image.fromarray(coarse[..., c]).resize(SIDES, Image.Resampling.BICUBIC) for c in range(3)]
        pixels += np.stack([np.asarray(layer) for layer in layers], axis=2)
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()


def grow(store: Store, place: Path, length: int) -> Path:
    """Makes a store of `length` training pictures out of a small one, whose first shard it repeats.

    The shards are links to one file, so that a million pictures take the disk no more than their index.
    """
    place.mkdir()
    whole = np.load(store.directory / "train.index.npy")
    first = whole[whole["shard"] == 0]
    names = (store.directory / "train.names").read_bytes()[: int(first["name_end"][-1])]
    copy, places = divmod(np.arange(length), len(first))
    index = first[places]
    index["shard"] = np.arange(length) // EXAMPLES_PER_SHARD
    index["name_end"] += copy * len(names)
    np.save(place / "train.index.npy", index)
    np.save(place / "train.crc32.npy", np.load(store.directory / "train.crc32.npy")[places])
    (place / "train.names").write_bytes(names * int(copy[-1] + 1))
    shutil.copy(store.directory / MEAN_IMAGE, place)
    tars = [shard_name("train", shard) for shard in range(int(index["shard"][-1]) + 1)]
    for tar in tars:
        try:
            (place / tar).hardlink_to(store.directory / tars[0])
        except OSError:  # a disk without hard links
            (place / tar).symlink_to((store.directory / tars[0]).resolve())
    others = {name: File.at(place / name) for name in ("train.index.npy", "train.crc32.npy", "train.names", MEAN_IMAGE)}
    files = dict.fromkeys(tars, store.files[tars[0]]) | others
    manifest = replace(read_manifest(store.directory), splits={"train": length}, files=files)
    (place / MANIFEST).write_text(manifest.to_json())
    return place
