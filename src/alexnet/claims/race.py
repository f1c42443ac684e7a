"""Who learns faster: epochs to 25 % training error, each arm at the learning rate that suits it best.

    every rate of the grid      1 epoch
    the better half             2 epochs
    the better half of those    4 epochs   ...   until one is there
    other seeds                 at that rate

Training error is what the network got wrong on the pictures of the last epoch, each before it was learned from: it
costs nothing, and stays a little above the error measured afterwards, for both arms.

Source: paper section 3.1, "the learning rates for each network were chosen independently to make training as fast as
possible". Halving: Jamieson and Talwalkar 2016, Non-stochastic best arm identification.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.claims.budgets import Budget
from alexnet.claims.experiment import Experiment, Floats
from alexnet.claims.statistics import CONFIRMED, NOT_SEEN, OPPOSITE, student
from alexnet.claims.table import Claim
from alexnet.config import Train
from alexnet.errors import TrainingError
from alexnet.files import write
from alexnet.run import Run

LEVEL = 0.25

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
"""The grid, the same for each arm."""

PAPER_RATIO = 6.0

SEVERAL = 3.0
"""Times as fast that confirm the claim: half of the paper's."""

ONE_SEED = 1.25
"""Times as slow that are the opposite where one seed gives no interval."""

DIVERGED = "diverged"
"""A file in the run folder of a rate that was too high, so that it is not tried again."""

TENTH = 10
"""Points of a drawn curve in an epoch."""


class Curve:
    """The training error of a run, read from its metrics as they grow.

    Args:
        folder: The run folder.
        steps_per_epoch: Not always whole.
    """

    def __init__(self, folder: Path, steps_per_epoch: float) -> None:
        self.path, self.steps_per_epoch = Run(folder).metrics, steps_per_epoch
        self.window = math.ceil(steps_per_epoch)
        self.rewind()

    def rewind(self) -> None:
        """Forgets everything: who resumes a run writes its metrics anew, without what was never saved."""
        self.errors: list[float] = []
        self.images_per_s: list[float] = []
        self._read = 0

    def read(self) -> None:
        """Takes in what was written since."""
        if self.path.is_file():
            with self.path.open(encoding="utf-8") as file:
                file.seek(self._read)
                rows = [json.loads(line) for line in file if line.endswith("\n")]
                self._read = file.tell()
            self.errors += [row["error"] for row in rows if "error" in row]
            self.images_per_s += [row["images_per_s"] for row in rows if "error" in row]

    @property
    def epochs(self) -> float:
        """How far it is."""
        return len(self.errors) / self.steps_per_epoch

    def latest(self, within: float = math.inf) -> float:
        """The training error of the last epoch of the first `within`, or of all of it while it is shorter."""
        end = min(len(self.errors), math.ceil(min(within, self.epochs) * self.steps_per_epoch))
        return float(np.mean(self.errors[max(0, end - self.window) : end])) if end else 1.0

    def points(self) -> list[tuple[float, float]]:
        """(epochs, training error of the epoch that ended there), a tenth of an epoch apart."""
        means = self._means()
        chosen = sorted({*range(0, len(means), max(1, self.window // TENTH)), *range(len(means))[-1:]})
        return [((i + self.window) / self.steps_per_epoch, float(means[i])) for i in chosen]

    def reached(self, level: float = LEVEL) -> float | None:
        """The epochs after which an epoch's training error was first at `level`; None if it never was."""
        below = np.flatnonzero(self._means() <= level)
        return float((below[0] + self.window) / self.steps_per_epoch) if len(below) else None

    def _means(self) -> Floats:
        """The mean error of every stretch of an epoch, by its last step."""
        if len(self.errors) < self.window:
            return np.zeros(0)
        sums = np.cumsum([0.0, *self.errors])
        return np.asarray((sums[self.window :] - sums[: -self.window]) / self.window)


@dataclass
class Runner:
    """One rate of one arm in the race."""

    arm: str
    settings: Train
    folder: Path
    curve: Curve

    @property
    def has_diverged(self) -> bool:
        """Whether its loss became no number, in this call or an earlier one."""
        return (self.folder / DIVERGED).exists()

    def arrival(self, within: float) -> float:
        """The epochs after which it was there, infinite if not within so many."""
        reached = self.curve.reached()
        return reached if reached is not None and reached <= within else math.inf

    def rank(self, within: float) -> tuple[bool, float, float]:
        """Smaller is better after so many epochs: first who is there earlier, then who is nearer.

        What is known of later epochs, from a call that was interrupted, changes nothing.
        """
        is_out = self.has_diverged and self.curve.epochs < within
        return is_out, self.arrival(within), self.curve.latest(within)

    def facts(self, limit: float) -> dict[str, Any]:
        """What is told of it."""
        reached = self.curve.reached()
        return {
            "arm": self.arm,
            "seed": self.settings.seed,
            "learning_rate": self.settings.learning_rate,
            "epochs": round(self.curve.epochs, 3),
            "training_error": self.curve.latest(),
            "epochs_to_level": reached,
            "has_diverged": self.has_diverged,
            "is_left_behind": reached is None and not self.has_diverged and self.curve.epochs < limit,
            "run": str(self.folder),
            "curve": self.curve.points(),
        }


def measure(claim: Claim, budget: Budget, seeds: int, experiment: Experiment) -> dict[str, Any]:
    """Runs the race, or goes on with it.

    Returns:
        `rows`, every run with its curve; `grid`, `level`; `best`, arm -> its rate; `epochs`, arm -> epochs of each
        seed (None: not within the limit); `ratio`, `ratio_interval` (None for one seed or a bound), `is_at_least`;
        `verdict`, `answer` and `cost`.

    Raises:
        Stopped: The person asked to stop.
    """
    limit = budget.train.epochs
    runners: list[Runner] = []
    best: dict[str, Runner] = {}
    finals: dict[str, list[Runner]] = {}
    for arm, change in claim.arms.items():
        field = [_enter(experiment, arm, change(replace(budget.train, learning_rate=rate))) for rate in RATES]
        best[arm] = _halve(experiment, field, limit)
        others = [_enter(experiment, arm, replace(best[arm].settings, seed=seed)) for seed in range(1, seeds)]
        for runner in others:
            _advance(experiment, runner, limit)
        finals[arm] = [best[arm], *others]
        runners += [*field, *others]
    return {
        "level": LEVEL,
        "grid": list(RATES),
        "limit": limit,
        "best": {arm: runner.settings.learning_rate for arm, runner in best.items()},
        "rows": [runner.facts(limit) for runner in runners],
        **compare({arm: [r.curve.reached() for r in final] for arm, final in finals.items()}, limit),
        "cost": _cost(runners),
    }


def compare(epochs: Mapping[str, list[float | None]], limit: float) -> dict[str, Any]:
    """Gives the ratio of epochs, its interval over seeds, and the words.

    Args:
        epochs: Arm -> epochs of each seed, the first arm the one that should be faster; None where it never got there.
        limit: Epochs after which a run was given up; what never got there counts as this, and the ratio as a bound.
    """
    fast, slow = epochs
    facts: dict[str, Any] = {"epochs": dict(epochs), "ratio": None, "ratio_interval": None, "is_at_least": False}
    pairs = list(zip(epochs[slow], epochs[fast], strict=True))
    if any(f is None for _, f in pairs):
        text = f"{fast} did not reach {LEVEL:.0%} training error within {limit:g} epochs"
        if all(s is not None and s < (f or math.inf) for s, f in pairs):
            return {**facts, "verdict": OPPOSITE, "answer": [f"{text}, {slow} after {_epochs(epochs[slow])}."]}
        return {**facts, "verdict": NOT_SEEN, "answer": [f"{text}: the budget is too small."]}
    logs = [math.log((s or limit) / f) for s, f in pairs if f]
    ratio, is_bound = math.exp(float(np.mean(logs))), any(value is None for value in epochs[slow])
    interval, low, high = None, min(logs), max(logs)
    if len(logs) > 1 and not is_bound:
        half = student(len(logs) - 1) * float(np.std(logs, ddof=1)) / math.sqrt(len(logs))
        low, high = float(np.mean(logs)) - half, float(np.mean(logs)) + half
        interval = [math.exp(low), math.exp(high)]
    is_slower = high < (0 if interval else -math.log(ONE_SEED)) and not is_bound
    verdict = CONFIRMED if low >= math.log(SEVERAL) else OPPOSITE if is_slower else NOT_SEEN
    text = (
        f"{fast} reached {LEVEL:.0%} training error after {_epochs(epochs[fast])} epochs, {slow} "
        f"{'not within' if is_bound else 'after'} {f'{limit:g}' if is_bound else _epochs(epochs[slow])}: "
        f"{'at least ' * is_bound}{ratio:.1f} times as fast (paper: {PAPER_RATIO:g}): {verdict}"
    )
    seeds = f"{len(logs)} seeds" if len(logs) > 1 else "one seed"
    text += f" (95 % interval {interval[0]:.1f} to {interval[1]:.1f}, {seeds})." if interval else f", {seeds}."
    facts |= {"ratio": ratio, "ratio_interval": interval, "is_at_least": is_bound}
    return {**facts, "verdict": verdict, "answer": [text]}


def most_epochs(seeds: int, limit: float) -> float:
    """Gives the epochs of all runs together if no run ever gets there."""
    total, alive, done, goal = 0.0, len(RATES), 0.0, 1.0
    while done < limit:
        total += alive * (min(goal, limit) - done)
        done, goal, alive = min(goal, limit), 2 * goal, math.ceil(alive / 2)
    return 2 * (total + (seeds - 1) * limit)


def _halve(experiment: Experiment, field: list[Runner], limit: float) -> Runner:
    """Gives the runner that is there first, leaving the worse half behind at 1, 2, 4, ... epochs."""
    goal = min(1.0, limit)
    while True:
        for runner in field:
            _advance(experiment, runner, min([goal, *(other.arrival(goal) for other in field)]))
        field = sorted(field, key=methodcaller("rank", goal))
        if field[0].arrival(goal) <= goal or goal >= limit:
            return field[0]
        field, goal = field[: math.ceil(len(field) / 2)], min(2 * goal, limit)


def _enter(experiment: Experiment, arm: str, settings: Train) -> Runner:
    folder = experiment.folder(f"{arm}-{settings.learning_rate:g}", settings)
    curve = Curve(folder, len(experiment.store.splits["train"]) / settings.batch_size)
    curve.read()
    return Runner(arm, settings, folder, curve)


def _advance(experiment: Experiment, runner: Runner, goal: float) -> None:
    """Trains up to `goal` epochs, or until the level is reached or the loss is no number any more."""
    curve, settings = runner.curve, runner.settings

    def is_there() -> bool:
        curve.read()
        return curve.epochs >= goal or curve.reached() is not None

    if runner.has_diverged or is_there():
        return
    experiment.follower.began(f"{runner.arm}, rate {settings.learning_rate:g}, to {goal:g} epochs")
    curve.rewind()
    try:
        experiment.train(f"{runner.arm}-{settings.learning_rate:g}", settings, is_there)
    except TrainingError:
        write(runner.folder / DIVERGED, "")
    curve.read()


def _cost(runners: list[Runner]) -> dict[str, Any]:
    laps = [(r.settings.batch_size, rate) for r in runners for rate in r.curve.images_per_s]
    return {"seconds": sum(batch / rate for batch, rate in laps), "images": sum(batch for batch, _ in laps)}


def _epochs(values: list[float | None]) -> str:
    return " and ".join(f"{value:.1f}" for value in values if value is not None)
