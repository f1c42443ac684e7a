# ruff: noqa: I001 - the rooms have other names since then
"""Wrote version-0.1.tar.xz beside it, with version 0.1 (commit 3a0d37b); kept to say how, and not to be run again.

    PYTHONPATH=VERSION-0.1/src:VERSION-0.1/tests/weights python make.py

The files are what that version wrote, except that weights are rounded to few values, which keeps the archive small.
"""

import errno
import json
import os
import shutil
import tarfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import foreign
import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import alexnet
from alexnet import cli, config, recipes
from alexnet.compress.compress import Plan, compress
from alexnet.data.listing import Listing
from alexnet.data.sources import open_source
from alexnet.data.open import open_data
from alexnet.data.pack import pack
from alexnet.models.variants import VARIANTS, Variant
from alexnet.training import loop
from alexnet.weights import checkpoint, manifest

ARCHIVE = Path(__file__).with_name("version-0.1.tar.xz")
WORK = Path("/tmp/golden")
MADE_AT = 1_700_000_000  # a time of change of whole seconds: it is part of what a store is known by
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (210, 50, 40)}
CLAIM = ("claim", "lrn", "--data", "store", "--budget", "quick", "--seeds", 1, "--out", "claims")
CHANGES = ("variant=toy", "input_size=67", "steps=12", "batch_size=4", "precision=float32")


class Interrupted(Exception):
    pass


def coarse(tensor):
    """Rounds to multiples of half the standard deviation, at most three of them either way; biases to 8 bits."""
    if tensor.dim() < 2:
        return (tensor.contiguous().view(torch.int32) & ~0x7FFF).view(torch.float32)
    step = tensor.std() / 2 + 1e-12
    step = (step.reshape(1).view(torch.int32) & ~0xFFFFF).view(torch.float32)
    return (tensor / step).round().clamp(-6, 6) * step


def round_weights(path):
    """Replaces a weight file by one with few values, and its manifest."""
    saved = checkpoint.load(path)
    with torch.no_grad():
        for parameter in saved.model.parameters():
            parameter.copy_(coarse(parameter))
    momentum = {name: coarse(tensor) for name, tensor in saved.momentum.items()}
    mean = np.rint(saved.mean / 4).astype(np.float32) * 4
    header = {name: value for name, value in saved.header.items() if name not in ("network", "probe", "crc32")}
    checkpoint.save(path, saved.model, mean, header, momentum)
    if path.name == "model.safetensors":
        with manifest.renewed(path):
            pass


def draw_pictures():
    for split, count in (("train", 6), ("val", 3)):
        for colour, rgb in COLOURS.items():
            folder = Path("pictures", split, colour)
            folder.mkdir(parents=True)
            for i in range(count):
                dice = np.random.default_rng([i, *f"{split}/{colour}".encode()])
                small = (dice.integers(-40, 40, (5, 5, 3)) + np.array(rgb)).clip(0, 255).astype(np.uint8)
                large = Image.fromarray(small).resize((84, 76), Image.Resampling.BICUBIC)
                large.save(folder / f"{i}.jpg", quality=80)
    Path("pictures/train/red/damaged.jpg").write_bytes(b"<html>not found</html>")
    for path in Path("pictures").rglob("*.jpg"):
        os.utime(path, (MADE_AT, MADE_AT))


def unreadable(name):
    """Makes the reading of a picture fail, as on a disk that is away."""
    read = Listing.read

    def read_or_fail(listing, i):
        if listing.name(i) == name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return read(listing, i)

    Listing.read = read_or_fail
    return lambda: setattr(Listing, "read", read)


def stop_after(count):
    def stop(done, total):
        if done == count:
            raise Interrupted

    return stop


def pack_stores():
    source = open_source("pictures")
    pack(source, "store", size=76)
    restore = unreadable("val/green/1.jpg")
    pack(source, "small", size=32)
    restore()
    with suppress(Interrupted):
        pack(source, "half", size=32, progress=stop_after(20))
    restore = unreadable("train/blue/2.jpg")
    with suppress(Interrupted):
        pack(source, "half-unread", size=32, progress=stop_after(20))
    restore()


def train_finished():
    settings = replace(recipes.CIFAR_80SEC, batch_size=6, steps=8, learning_rate=0.01, precision="float32")
    settings = replace(settings, divide_pixels_by=16.0)
    assert loop.train(settings, open_data("small"), "small", Path("finished"))
    for name in ("model", "last"):
        round_weights(Path(f"finished/{name}.safetensors"))
    cli.main(["evaluate", "finished", "--precision", "float32"])


def train_interrupted():
    settings = replace(
        config.PAPER,
        **{"variant": "toy", "input_size": 67, "initialisation": "he", "divide_pixels_by": 64.0, "smallest_crop": 0.6},
        **{"batch_size": 4, "steps": 8, "evaluate_every": 0.45, "schedule": "one-cycle", "label_smoothing": 0.1},
        precision="float32",
    )
    calls = []
    assert not loop.train(settings, open_data("store"), "store", Path("interrupted"), None, lambda: _count(calls) == 5)
    for name in ("model", "last"):
        round_weights(Path(f"interrupted/{name}.safetensors"))
    with Path("interrupted/metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "epo')  # as a process leaves it that is killed while it writes


def _count(calls):
    calls.append(None)
    return len(calls)


def convert_caffe():
    weights = foreign.random_weights(channels=foreign.CHANNELS, hidden=foreign.HIDDEN, classes=3)
    weights = [tuple(coarse(torch.from_numpy(part)).numpy() for part in layer) for layer in weights]
    Path("toy.caffemodel").write_bytes(foreign.caffemodel(weights))
    Path("classes.txt").write_text("blue\ngreen\nred\n")
    cli.main(["convert", "toy.caffemodel", "converted", "--classes", "classes.txt"])
    for name in ("toy.caffemodel", "classes.txt"):
        Path(name).unlink()


def strip_header():
    """A weight file with no more in its header than the first ones had."""
    with safe_open("interrupted/model.safetensors", "pt") as file:
        header = json.loads(file.metadata()["alexnet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = {name: header[name] for name in ("network", "classes", "preprocessing", "crc32")}
    header["preprocessing"] = {"divide_pixels_by": 64}
    save_file(tensors, "bare.safetensors", {"alexnet": json.dumps(header)})


def make_smaller():
    table = compress(Path("interrupted/model.safetensors"), open_data("store"), Path("small.compressed"), Plan(0.1, 1))
    assert table


def answer_a_claim():
    words = [*CLAIM, *(word for change in CHANGES for word in ("--set", change))]
    cli.main(list(map(str, words)))
    for run in Path("claims/runs").iterdir():
        round_weights(run / "model.safetensors")
        for name in ("answers-1-views.npy", "training-error.json"):
            (run / name).unlink(missing_ok=True)
        shutil.rmtree(run / "tensorboard", ignore_errors=True)
    cli.main(list(map(str, words)))


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir()
    os.chdir(WORK)
    os.environ["ALEXNET_CACHE"] = "cache"
    toy = Variant("a toy for tests", channels=(8, 16, 16, 16, 8), hidden=32, groups=2, towers=2)
    caffe = replace(VARIANTS["caffenet"], channels=foreign.CHANNELS, hidden=foreign.HIDDEN)
    VARIANTS.update({"toy": toy, "toy-caffenet": caffe})
    draw_pictures()
    pack_stores()
    train_finished()
    train_interrupted()
    convert_caffe()
    strip_header()
    make_smaller()
    answer_a_claim()
    alexnet.load("interrupted", numbers="float32").save_pretrained("pretrained", licence="bsd-3-clause")
    for folder in ("finished", "interrupted"):
        shutil.rmtree(f"{folder}/tensorboard", ignore_errors=True)
    shutil.rmtree("cache")
    with tarfile.open(ARCHIVE, "w:xz", preset=9, format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(Path().rglob("*"), key=lambda path: (path.suffix, path)):
            if path.name not in ("report.html", "claim.html"):
                archive.add(path, recursive=False)


if __name__ == "__main__":
    main()
