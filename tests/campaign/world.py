"""Where the campaign works: a toy network, little pictures, and commands in processes that can be killed.

Commands are forked from one process that has imported torch, so that a start takes a tenth of a second.
"""

import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pictures import tree
from safetensors.numpy import load_file

from alexnet import cli
from alexnet.models.variants import VARIANTS, Variant

PATIENCE_S = 300
"""A command that takes longer hangs."""

TRAIN = "train modern --variant toy --input-size 67 --precision float32 --steps 20"
TRAIN += " --set batch_size=8 --set evaluate_every=1"
COUNTS = {"train/blue": 20, "train/green": 16, "train/red": 12, "val/blue": 5, "val/green": 4, "val/red": 3}


@dataclass
class Tally:
    """What one part of the campaign tried: how often each thing happened, and a line for each fault."""

    part: str
    what: str
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    left_out: str = ""  # the reason, where the part could not be run

    def as_json(self) -> dict[str, object]:
        return {**vars(self), "verdicts": dict(self.verdicts)}

    def count(self, verdict: str, fault: str = "") -> None:
        self.verdicts[verdict] += 1
        if fault:
            self.faults.append(fault)
            print(f"  FAULT {self.part}: {fault}", flush=True)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, below 0 the signal; and what it wrote to both streams."""

    code: int
    text: str

    @property
    def fault(self) -> str:
        """What is wrong with the end of a command that may fail, but only with a mistake in one last line."""
        last = self.text.strip().splitlines()[-1:] or [""]
        if "Traceback" in self.text:
            return f"traceback: {last[0]}"
        if self.code == 0 or (self.code == 2 and last[0].startswith("alexnet")):
            return ""
        return f"exit code {self.code}: {last[0]}"


class Command:
    """A running `alexnet` command."""

    def __init__(self, words: str | list[str], folder: Path) -> None:
        self.words = words.split() if isinstance(words, str) else words
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            self._be(folder)

    def _be(self, folder: Path) -> None:
        """Runs the command; never returns."""
        code = 1
        try:
            os.setsid()  # a kill of this process spares the campaign
            os.dup2(self.output.fileno(), 1)
            os.dup2(self.output.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
            os.chdir(folder)
            os.environ["ALEXNET_CACHE"] = str(folder / "cache")
            cli.main(self.words)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self, seconds: float = PATIENCE_S) -> Ended:
        """Waits so long for the end, then kills."""
        deadline = time.monotonic() + seconds
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > deadline:
                os.killpg(self.pid, signal.SIGKILL)
                ended = os.waitpid(self.pid, 0)
                break
            time.sleep(0.002)
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        return Ended(os.waitstatus_to_exitcode(ended[1]), text)


def deadline(parts: int = 1) -> float:
    """Returns when the next of so many parts has to end, so that all have had their share of the campaign's hour."""
    return time.time() + (float(os.environ.get("CAMPAIGN_UNTIL", "inf")) - time.time()) / parts


def run(words: str | list[str], folder: Path) -> Ended:
    """Runs a command to its end."""
    return Command(words, folder).wait()


def must(words: str | list[str], folder: Path) -> Ended:
    """Runs a command that nothing disturbs."""
    ended = run(words, folder)
    assert ended.code == 0, f"alexnet {words}: {ended.text}"
    return ended


def prepare() -> None:
    """Gives this process the toy and one thread, which forked processes inherit."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork.*")
    VARIANTS["toy"] = Variant("a toy", channels=(8, 16, 16, 16, 8), hidden=32, groups=2, towers=2)
    import alexnet.training.loop  # noqa: F401  what every command would import by itself


def pictures(folder: Path, times: int = 1) -> Path:
    """Makes little pictures in three classes."""
    return tree(folder, {name: count * times for name, count in COUNTS.items()}, 80, 90)


def dice(seed: int, part: str) -> random.Random:
    """Returns the random numbers of a part, which do not depend on the other parts."""
    return random.Random(f"{seed} {part}")


def of_run(folder: Path) -> str:
    """Returns a hash of all that a training leaves and that does not tell the time."""
    digest = hashlib.blake2b(digest_size=8)
    for name in ("last.safetensors", "model.safetensors"):
        for key, tensor in sorted(load_file(folder / name).items()):
            digest.update(key.encode() + tensor.tobytes())
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        row.pop("images_per_s", None)
        row.pop("seal", None)
        digest.update(json.dumps(row).encode())
    evaluation = json.loads((folder / "evaluation.json").read_text())
    digest.update(json.dumps([evaluation["confusion"], evaluation["loss"]]).encode())
    return digest.hexdigest()


def of_files(folder: Path) -> str:
    """Returns a hash of the names and contents of all files below a folder, or of a file."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        if path.is_file():
            digest.update(str(path.relative_to(folder.parent)).encode() + path.read_bytes())
    return digest.hexdigest()
