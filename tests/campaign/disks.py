"""The disk fills at a random moment of each writing command: one line, nothing lost, and the same command goes on.

The disk is a small memory file system in a mount namespace of its own, which the kernel removes with the process; its
size is what is used already and a random part of what the command writes.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import foreign
import world
from fuzz import TOY, rows
from world import Tally

from alexnet import recipes
from alexnet.evaluation.classifier import load
from alexnet.models.variants import VARIANTS
from alexnet.records import Evaluation
from alexnet.run import Run

MOMENTS = 100
ROOM = 256 << 20
PAGE = 4096


@dataclass(frozen=True)
class Writer:
    """A command that writes, what its result is, and what must stay as it was where the disk is full.

    Attributes:
        words: The command, run in a folder that holds `pictures`, `store`, `run`, `half` (a run that was interrupted)
            and `caffe.caffemodel`.
        result: Its hash in the end.
        intact: Is called after a full disk, and fails where something is lost.
        on: The command that goes on where the same one is refused because its result exists already.
    """

    words: str
    result: Callable[[Path], str]
    intact: Callable[[Path], object] = lambda folder: None
    on: str = ""


def _loads(name: str) -> Callable[[Path], object]:
    return lambda folder: load(folder / name, numbers="float32")


def _evaluation(folder: Path) -> str:
    evaluation: Evaluation | None = Run(folder / "run").evaluation()
    return str(evaluation and (evaluation.confusion, evaluation.loss, evaluation.views))


def _is_whole(name: str) -> Callable[[Path], object]:
    """A result is there whole, or not at all."""

    def check(folder: Path) -> None:
        if (path := folder / name).exists():
            assert path.is_dir() or path.stat().st_size, f"{name} is empty"

    return check


def _size(name: str) -> Callable[[Path], str]:
    """A file that names the day, or a random folder, is the same if it is as long."""
    return lambda folder: str((folder / name).stat().st_size // 100)


def _files(name: str) -> Callable[[Path], str]:
    return lambda folder: world.of_files(folder / name)


def _run(name: str) -> Callable[[Path], str]:
    return lambda folder: world.of_run(folder / name)


def _weights(name: str) -> Callable[[Path], str]:
    return lambda folder: str(load(folder / name, numbers="float32").header.crc32)


WRITERS = {
    "pack": Writer("pack pictures other --size 76", _files("other")),
    "train": Writer(f"{world.TRAIN} --data store --out new", _run("new"), on="train --resume new"),
    "train --resume": Writer("train --resume half", _run("half"), _loads("half/last.safetensors")),
    "evaluate": Writer("evaluate run --views 10", _evaluation, _loads("run")),
    "report": Writer("report run", _size("run/report.html"), _loads("run")),
    "export onnx": Writer("export run --format onnx --out a.onnx", _files("a.onnx"), _is_whole("a.onnx")),
    "export torch-export": Writer("export run --format torch-export --out a.pt2", _size("a.pt2"), _is_whole("a.pt2")),
    "export huggingface": Writer("export run --format huggingface --out hub", _weights("hub"), _is_whole("hub")),
    "features": Writer("features run store --out f.npz", _size("f.npz"), _is_whole("f.npz")),
    "convert": Writer("convert caffe.caffemodel new", _weights("new"), _is_whole("new")),
    "compress": Writer("compress run --keep 0.3 --epochs 0.3 --out small", _files("small"), _is_whole("small")),
}


def disks(seed: int, scale: float, folder: Path) -> Iterator[Tally]:
    """Fills the disk of each writing command."""
    if os.environ.get("CAMPAIGN_DISK") != str(folder):
        yield Tally("full disks", "the disk fills", left_out="it needs Linux with user namespaces (`unshare -rm`)")
        return
    world.pictures(folder / "pictures", 2)
    world.must("pack pictures store --size 76", folder)
    world.must(f"{world.TRAIN} --data store --out run", folder)
    (folder / "caffe.caffemodel").write_bytes(_caffe())
    _interrupt(folder)
    template = folder.with_name("template")
    shutil.copytree(folder, template)
    for place, (name, writer) in enumerate(WRITERS.items()):
        until = world.deadline(len(WRITERS) - place)
        yield _fill(Full(name, writer, folder, template), round(scale * MOMENTS) or 1, seed, until)


@dataclass(frozen=True)
class Full:
    """A command by its name, the disk that fills, and what is on it before."""

    name: str
    writer: Writer
    disk: Path
    template: Path


def _caffe() -> bytes:
    VARIANTS.update(rows())
    weights = foreign.random_weights(**TOY, classes=2)
    return foreign.caffemodel(weights)


def _interrupt(folder: Path) -> None:
    """Leaves a run that was stopped half way."""
    from alexnet.data.store import Store
    from alexnet.training.loop import begin

    toy = replace(recipes.MODERN, variant="toy", input_size=67, precision="float32")
    settings = replace(toy, steps=20, batch_size=8, evaluate_every=1.0)
    steps: list[None] = []
    with begin(settings, Store(folder / "store"), "store", Run(folder / "half")) as training:
        training.run(lambda: bool(steps.append(None)) or len(steps) >= 10)


def _restore(folder: Path, template: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(template, folder, dirs_exist_ok=True)


def _used(folder: Path) -> int:
    disk = os.statvfs(folder)
    return (disk.f_blocks - disk.f_bfree) * disk.f_frsize


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)


def _written(folder: Path, template: Path) -> int:
    """Returns the bytes of the files that are new or changed."""
    total = 0
    for path in folder.rglob("*"):
        before = template / path.relative_to(folder)
        if path.is_file() and (not before.is_file() or before.read_bytes() != path.read_bytes()):
            total += -(-path.stat().st_size // PAGE) * PAGE
    return total + 4 * PAGE


def _fill(full: Full, moments: int, seed: int, until: float) -> Tally:
    name, writer, folder, template = full.name, full.writer, full.disk, full.template
    tally, dice = Tally(f"full disk: {name}", "the disk fills, then the same command goes on"), world.dice(seed, name)
    _resize(folder, ROOM)
    _restore(folder, template)
    world.must(writer.words, folder)
    wanted, written = writer.result(folder), _written(folder, template)
    for number in range(moments):
        if time.time() > until:
            tally.left_out = f"stopped by the clock at {number} of {moments} moments"
            break
        _resize(folder, ROOM)
        _restore(folder, template)
        room = dice.randrange(0, int(1.2 * written), 512)
        where = f"`alexnet {writer.words}` with {room:,} bytes left (seed {seed}, {number})"
        _resize(folder, _used(folder) + room // PAGE * PAGE)
        ended = world.run(writer.words, folder)
        is_full = "is full" in ended.text
        tally.count("one line" if is_full and ended.code == 2 else "had room" if ended.code == 0 else "ended otherwise")
        if ended.fault or (ended.code == 2 and not is_full):
            tally.count("not one line", f"{where}: {ended.fault or ended.text.strip().splitlines()[-1]}")
        try:
            writer.intact(folder)
        except Exception as error:
            tally.count("lost", f"{where}: {type(error).__name__} {error}")
        _resize(folder, ROOM)
        if ended.code != 0:
            _go_on(writer, wanted, folder, tally, where)
        elif writer.result(folder) != wanted:
            tally.count("changed", f"{where}: another result, and no error")
    return tally


def _go_on(writer: Writer, wanted: str, folder: Path, tally: Tally, where: str) -> None:
    """Runs the same command again where there is room."""
    ended = world.run(writer.words, folder)
    if ended.code == 2 and "exists already" in ended.text:
        tally.count("refused as it exists already", "" if writer.on else f"{where}, then: {ended.text.strip()}")
        ended = world.run(writer.on, folder) if writer.on else ended
    if ended.code != 0:
        tally.count("did not go on", f"{where}, then with room: {ended.fault or ended.text.strip()}")
    elif writer.result(folder) == wanted:
        tally.count("went on to the same")
    else:
        tally.count("changed", f"{where}: another result after going on")
