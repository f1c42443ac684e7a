"""Flipped bits, mutated pictures, fuzzed readers, and memory over many predictions."""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import world
from evil import DAMAGED, ODD
from fuzz import READERS
from world import Tally

FLIPS, PICTURES, PREDICTIONS, FUZZ_S = 40, 5000, 10_000, 180
TOGETHER = 250
FLAT_MB = 16
"""Growth between a tenth of the predictions and all of them that counts as none."""


def flips(seed: int, scale: float, folder: Path) -> Iterator[Tally]:
    """Flips bits in each kind of file, cuts it off and replaces it."""
    try:
        from damage import KINDS, harm
    except ImportError:
        yield Tally("damage", "bits flipped, cut off, replaced", left_out="tests/damage.py is missing")
        return
    world.pictures(folder / "pictures")
    world.must("pack pictures store --size 76", folder)
    world.must(f"{world.TRAIN} --data store --out run", folder)
    world.must("evaluate run", folder)
    world.must("compress run --keep 0.3 --epochs 0.3 --out run.compressed", folder)
    for name, kind in KINDS.items():
        tally = Tally(f"damage: {name}", "bits flipped, cut off, replaced")
        try:
            tally.verdicts.update(
                harm(folder / kind.file, lambda kind=kind: kind.read(folder), round(scale * FLIPS) or 1, seed)
            )
        except AssertionError as error:
            for line in str(error).splitlines():
                tally.count("fault", f"{line} (seed {seed})")
        yield tally


def mutated(data: bytes, dice) -> bytes:
    """Returns a picture with bits flipped, bytes put in, taken out or repeated, or its end cut off."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 5))):
        at, kind = dice.randrange(len(changed) + 1), dice.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            changed[at : at + dice.randrange(1, 5)] = dice.randbytes(dice.randrange(5))
        elif kind == 2:
            del changed[at : at + dice.randrange(1, 9)]
        elif kind == 3:
            changed[at:at] = changed[max(0, at - dice.randrange(1, 64)) : at]
        elif kind == 4 and dice.random() < 0.3:
            del changed[at:]
        else:  # a field of the header, where sizes and kinds stand
            head = dice.randrange(min(64, len(changed)) or 1)
            changed[head : head + 1] = dice.choice((b"\0", b"\xff", b"\x7f", b"\x80", b"\x01"))
    return bytes(changed)


def pictures(seed: int, scale: float, folder: Path) -> Iterator[Tally]:
    """Predicts what is on pictures that were mutated, all in one process."""
    tally, dice = (
        Tally("mutated pictures", "`predict` names each picture or says in one line why not"),
        world.dice(seed, "pictures"),
    )
    world.pictures(folder / "pictures")
    world.must(f"{world.TRAIN} --data pictures --out run", folder)
    sound = [*ODD.values(), *(data for data in DAMAGED.values() if data)]
    from alexnet.evaluation.classifier import load, predict

    classifier, place = load(folder / "run"), folder / "mutated"
    errors = (folder / "stderr").open("w+b")
    kept = os.dup(2)
    until = world.deadline()
    for first in range(0, max(1, round(scale * PICTURES)), TOGETHER):
        if time.time() > until:
            tally.left_out = f"stopped by the clock at {first:,} pictures"
            break
        place.mkdir()
        count = min(TOGETHER, round(scale * PICTURES) - first)
        for number in range(count):
            (place / f"{first + number:05d}").write_bytes(mutated(dice.choice(sound), dice))
        os.dup2(errors.fileno(), 2)
        try:
            for answer in predict(classifier, sorted(place.iterdir())):
                is_line = answer.error is None or "\n" not in answer.error
                total = sum(guess.probability for guess in answer.predictions)
                is_right = answer.error is not None or abs(total - 1) < 1e-3
                verdict = "refused in one line" if answer.error else "named"
                name = f"{answer.image}: {answer.error or total} (seed {seed})"
                tally.count(verdict if is_line and is_right else "fault", "" if is_line and is_right else name)
        except Exception as error:
            tally.count(
                "traceback", f"pictures {first} to {first + count} (seed {seed}): {type(error).__name__} {error}"
            )
        finally:
            os.dup2(kept, 2)
        shutil.rmtree(place)
    errors.seek(0)
    if text := errors.read():
        tally.count(
            "written to the terminal by a library", f"{len(text.splitlines())} lines, first: {text.splitlines()[0]!r}"
        )
    tally.figures["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield tally


def memory(seed: int, scale: float, folder: Path) -> Iterator[Tally]:
    """Predicts many times and watches the memory."""
    tally, count = (
        Tally("memory", "resident memory does not grow with predictions"),
        max(200, round(scale * PREDICTIONS)),
    )
    world.pictures(folder / "pictures")
    world.must(f"{world.TRAIN} --data pictures --out run", folder)
    from alexnet.evaluation.classifier import load, predict

    files = cycle(sorted((folder / "pictures").rglob("*.jpg")))
    resident = []
    for done, _ in enumerate(predict(load(folder / "run"), islice(files, count)), 1):
        if done in (count // 10, count):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident.append(pages * resource.getpagesize() / 2**20)
    early, late = resident
    tally.figures = {"predictions": count, "MB after a tenth": round(early, 1), "MB in the end": round(late, 1)}
    grown = late - early > FLAT_MB
    tally.count("grown" if grown else "flat", f"{early:.0f} MB, then {late:.0f} MB" if grown else "")
    yield tally


def fuzz(seed: int, scale: float, folder: Path) -> Iterator[Tally]:
    """Fuzzes each reader of binary files, guided by coverage, as many at a time as there are cores."""
    place = str(Path(os.environ.get("ATHERIS", "")).absolute()) if "ATHERIS" in os.environ else ""
    if subprocess.run(
        [sys.executable, "-c", "import atheris"], env={**os.environ, "PYTHONPATH": place}, stderr=subprocess.DEVNULL
    ).returncode:
        yield Tally(
            "fuzzing", "readers", left_out="atheris is missing: pip install --target DIR atheris, and ATHERIS=DIR"
        )
        return
    seconds, waiting, running = max(5, round(scale * FUZZ_S)), list(READERS), {}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (place, os.environ.get("PYTHONPATH"))))}
    program, width = Path(__file__).parents[1] / "fuzz" / "fuzz.py", len(os.sched_getaffinity(0))
    while waiting or running:
        while waiting and len(running) < width:
            reader, log = waiting[0], (folder / f"{waiting.pop(0)}.log").open("w+")
            options = [
                f"-max_total_time={seconds}",
                "-rss_limit_mb=2048",
                f"-seed={seed + 1}",
                "-timeout=30",
                f"-artifact_prefix={folder}/{reader}-",
            ]
            words = [sys.executable, str(program), reader, str(folder / reader), *options]
            running[reader] = subprocess.Popen(words, env=environment, stdout=log, stderr=log, cwd=folder), log
        for reader, (process, log) in list(running.items()):
            if process.poll() is not None:
                yield _fuzzed(reader, process.returncode, log, seconds)
                del running[reader]
        time.sleep(0.2)


def _fuzzed(reader: str, code: int, log, seconds: int) -> Tally:
    log.seek(0)
    lines, tally = log.read().splitlines(), Tally(f"fuzzing: {reader}", f"{seconds} s with atheris")
    done = [line for line in lines if line.startswith("Done ")]
    if done:
        tally.figures["inputs"] = int(done[0].split()[1])
    tally.count("fault" if code else "survived", f"{reader}: {' | '.join(lines[-6:])[:500]}" if code else "")
    return tally
