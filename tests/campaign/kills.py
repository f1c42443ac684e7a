"""Training and packing are killed with SIGKILL at random moments, started again, and come to the same end."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import world
from world import Command, Ended, Tally

TRAINING_KILLS, PACKING_KILLS = 200, 50


def kills(seed: int, scale: float, folder: Path) -> Iterator[Tally]:
    """Kills training and packing."""
    world.pictures(folder / "pictures", 3)
    world.must("pack pictures store --size 76", folder)
    train = Killed("training", TRAINING_KILLS, f"{world.TRAIN} --data store --out run", "run", world.of_run)
    pack = Killed("packing", PACKING_KILLS, "pack pictures other --size 76", "other", world.of_files)
    for parts, killed in ((2, train), (1, pack)):
        yield _kill(killed, max(2, round(scale * killed.kills)), seed, folder, world.deadline(parts))


@dataclass(frozen=True)
class Killed:
    """A command to kill so often, the folder that it makes, and what hashes that."""

    what: str
    kills: int
    words: str
    name: str
    judge: Callable[[Path], str]


def _kill(killed: Killed, wanted: int, seed: int, folder: Path, until: float) -> Tally:
    tally = Tally(f"kills of {killed.what}", "SIGKILL at a random moment, then the same end")
    dice, result = world.dice(seed, killed.what), folder / killed.name
    started = time.monotonic()
    world.must(killed.words, folder)
    takes, unbroken = time.monotonic() - started, killed.judge(result)
    while tally.verdicts["killed"] < wanted and len(tally.faults) <= 20:
        if time.time() > until:
            tally.left_out = f"stopped by the clock at {tally.verdicts['killed']} of {wanted} kills"
            break
        for rest in folder.glob(f"{killed.name}*"):
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        number = tally.verdicts["killed"]
        ended = _until_it_ends(killed, wanted, takes, dice, tally, folder)
        if ended.code:
            tally.count("lost", f"after kill {number} of seed {seed}: {ended.fault or ended.text.strip()}")
        elif killed.judge(result) == unbroken:
            tally.count("the same in the end")
        else:
            tally.count("changed", f"after kill {number} of seed {seed}: another result")
    return tally


def _until_it_ends(killed: Killed, wanted: int, takes: float, dice: Random, tally: Tally, folder: Path) -> Ended:
    """Starts a command, and kills it, until it ends before its kill; a run that exists already is resumed."""
    words = killed.words
    while True:
        command = Command(words, folder)
        time.sleep(dice.random() * takes)
        if tally.verdicts["killed"] < wanted:
            os.kill(command.pid, signal.SIGKILL)
        ended = command.wait()
        if ended.code == -signal.SIGKILL:
            tally.count("killed")
        elif ended.code == 2 and "exists already" in ended.text and words == killed.words:
            tally.count("went on by --resume")
            words = f"train --resume {killed.name}"
        else:
            return ended
