"""How long a command takes that starts anew: `alexnet predict` of one picture, beside `import torch`."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.benches.contest import Contest, Contestant, Notice, rows
from alexnet.benches.data import photograph
from alexnet.benches.findings import Findings, Size
from alexnet.weights.box import TINY_IMAGENET

TORCH = "import torch"


@dataclass(frozen=True)
class Start:
    """Seconds of two processes, each from its start to its end."""

    torch_s: float
    predict_s: float


def bench(size: Size, notice: Notice) -> Findings:
    """Measures what the first prediction by the network in the package takes beyond loading PyTorch."""
    contestant = Contestant(f"a first `alexnet predict` beside `{TORCH}`", measure)
    contest = Contest([contestant], replace(size, rounds=1), notice)
    starts = [start for turn in contest(contestant) for start in turn]
    alone, beyond = [start.torch_s for start in starts], [start.predict_s - start.torch_s for start in starts]
    table = rows("start: alexnet predict of one picture, beyond that of PyTorch", "s", beyond)
    return Findings(table + rows(f"start: {TORCH}", "s", alone))


def measure(size: Size) -> list[Start]:
    """Runs both in turns, as often as there are rounds."""
    with tempfile.TemporaryDirectory(prefix="alexnet-bench-") as folder:
        picture = Path(folder) / "photograph.jpg"
        picture.write_bytes(photograph(0))
        predict = ["-m", "alexnet", "predict", TINY_IMAGENET, str(picture)]
        return [Start(_seconds(["-c", TORCH]), _seconds(predict)) for _ in range(size.rounds)]


def _seconds(words: Sequence[str]) -> float:
    """Returns the seconds that a new Python takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started
