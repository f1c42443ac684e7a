"""Who learns faster: epochs to 25 % training error, each arm at the learning rate that suits it best.

    every rate of the grid      1 epoch
    the better half             2 epochs
    the better half of those    4 epochs   ...   until one has reached it
    other seeds                 at that rate

Source: paper section 3.1, "the learning rates for each network were chosen independently to make training as fast as
possible". Halving: Jamieson and Talwalkar 2016, Non-stochastic best arm identification.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import methodcaller
from typing import TYPE_CHECKING, ClassVar

from alexnet.claims import words
from alexnet.claims.budgets import RACE_BUDGETS, Budget
from alexnet.claims.experiment import Cost, Experiment, Outcome
from alexnet.claims.statistics import LEVEL, compare_epochs, naive_error
from alexnet.config import Train
from alexnet.errors import TrainingError, UsageError
from alexnet.files import write
from alexnet.pages.markup import duration
from alexnet.records import Fraction, Record

if TYPE_CHECKING:  # it imports torch, which a list of the claims does not wait for
    from alexnet.claims.curve import Curve
    from alexnet.claims.laboratory import Laboratory
    from alexnet.run import Run

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)  # the same for each arm
PAPER_RATIO = 6.0
FEW_EPOCHS = 2
DIVERGED = "diverged"  # a file in the run folder of a rate that was too high, so that it is not tried again


class RaceRow(Record, frozen=True, kw_only=True):
    """One rate of one arm: how far its run went, and the training error along the way, as `Curve` has it.

    A run reached `LEVEL` after `epochs_to_level`, or diverged, or was left behind by the race, or came to its end.
    """

    arm: str
    seed: int
    learning_rate: float
    epochs: float
    training_error: Fraction
    epochs_to_level: float | None
    has_diverged: bool
    is_left_behind: bool
    run: str
    curve: tuple[tuple[float, float], ...]


class Raced(Outcome, frozen=True, kw_only=True):
    """The outcome of a race to a training error of `level`, over a grid of learning rates, of at most `limit` epochs.

    Every run has a row, and every arm its best rate. The last four fields are those of `statistics.Ratio`.
    """

    rows: tuple[RaceRow, ...]
    level: float
    grid: tuple[float, ...]
    limit: float
    best: dict[str, float]
    epochs: dict[str, tuple[float | None, ...]]
    ratio: float | None
    ratio_interval: tuple[float, float] | None
    is_at_least: bool

    def table(self) -> list[str]:
        """Returns a line for each run."""
        lines = [f"{'':<8}{'rate':>7}{'seed':>6}{'epochs':>8}{'training error':>16}  "]
        for row in self.rows:
            end = "diverged" if row.has_diverged else "left behind" if row.is_left_behind else ""
            end = f"25 % after {row.epochs_to_level:.2f}" if row.epochs_to_level else end
            figures = f"{row.learning_rate:>7g}{row.seed:>6}{row.epochs:>8.2f}{row.training_error:>16.2%}"
            lines.append(f"{row.arm:<8}{figures}  {end}".rstrip())
        return lines


@dataclass
class Runner:
    """One rate of one arm in the race."""

    arm: str
    settings: Train
    run: "Run"
    curve: "Curve"

    @property
    def has_diverged(self) -> bool:
        """Whether its loss was no number any more, in this call or an earlier one."""
        return (self.run.folder / DIVERGED).exists()

    def arrival(self, within: float) -> float:
        """Returns the epochs after which it reached the level; infinity if not within so many."""
        reached = self.curve.reached()
        return reached if reached is not None and reached <= within else math.inf

    def rank(self, within: float) -> tuple[bool, float, float]:
        """Returns what runners are sorted by after so many epochs: arrival, then training error, diverged ones last.

        What an interrupted call has shown of later epochs changes nothing.
        """
        is_out = self.has_diverged and self.curve.epochs < within
        return is_out, self.arrival(within), self.curve.latest(within)

    def row(self, limit: float) -> RaceRow:
        """Returns its row in the table of a race of at most `limit` epochs."""
        reached = self.curve.reached()
        return RaceRow(
            arm=self.arm,
            seed=self.settings.seed,
            learning_rate=self.settings.learning_rate,
            epochs=round(self.curve.epochs, 3),
            training_error=self.curve.latest(),
            epochs_to_level=reached,
            has_diverged=self.has_diverged,
            is_left_behind=reached is None and not self.has_diverged and self.curve.epochs < limit,
            run=str(self.run.folder),
            curve=tuple(self.curve.points()),
        )


@dataclass(frozen=True)
class Race(Experiment):
    """Two arms, each at its best learning rate."""

    kind: ClassVar[str] = "race"
    budgets: ClassVar[Mapping[str, Budget]] = RACE_BUDGETS
    reserved: ClassVar[Mapping[str, str]] = {
        **Experiment.reserved,
        "learning_rate": "the race tries rates of its own",
        "steps": "the race counts epochs; set epochs",
    }

    def check(self, budget: Budget) -> None:
        """Refuses what can have no answer.

        Raises:
            UsageError: As `Experiment.check`, or the race would end before an arm can be ahead.
        """
        super().check(budget)
        if (epochs := budget.train.epochs) < FEW_EPOCHS:
            raise UsageError(f"the race needs {FEW_EPOCHS} epochs or more, got {epochs:g}: neither arm could be ahead")

    def warnings(self, budget: Budget, laboratory: "Laboratory") -> list[str]:
        """Returns the reasons why the answer may be weak, before it is known."""
        naive, level = naive_error(laboratory.store.splits["train"].labels), f"{LEVEL * 100:.0f} %"
        text = f"always naming the largest class errs on {naive:.0%} only: the race to {level} is a short one"
        return [text] if naive < 0.5 else []

    def conduct(self, budget: Budget, laboratory: "Laboratory") -> Outcome:
        """Runs the race, or goes on with it; see `Experiment.conduct`."""
        limit, labels = budget.train.epochs, laboratory.store.splits["train"].labels
        if (naive := naive_error(labels)) <= LEVEL:
            name = laboratory.store.name
            raise UsageError(
                f"always naming the largest class errs on {naive:.0%} of {name}'s training pictures: a race to "
                f"{LEVEL:.0%} is won before it starts; take data with more classes"
            )
        epoch = len(labels) / budget.train.batch_size * laboratory.seconds_per_step(budget.train)
        laboratory.observer.notice(
            f"rates {', '.join(f'{rate:g}' for rate in RATES)} for each arm; an epoch takes about {duration(epoch)} "
            f"on this machine, and all of it at most {duration(most_epochs(budget.seeds, limit) * epoch)}"
        )
        runners, finals = list[Runner](), dict[str, list[Runner]]()
        for arm in self.arms:
            settings = self.settings(arm, budget.train)
            field = [_enter(laboratory, arm, replace(settings, learning_rate=rate)) for rate in RATES]
            best = _halve(laboratory, field, limit)
            others = [_enter(laboratory, arm, replace(best.settings, seed=seed)) for seed in range(1, budget.seeds)]
            for runner in others:
                _advance(laboratory, runner, limit)
            finals[arm] = [best, *others]
            runners += [*field, *others]
        return _raced(runners, finals, limit)


def most_epochs(seeds: int, limit: float) -> float:
    """Returns the epochs of all runs together if no run ever reaches the level."""
    total, alive, done, goal = 0.0, len(RATES), 0.0, 1.0
    while done < limit:
        total += alive * (min(goal, limit) - done)
        done, goal, alive = min(goal, limit), 2 * goal, math.ceil(alive / 2)
    return 2 * (total + (seeds - 1) * limit)


def _halve(laboratory: "Laboratory", field: list[Runner], limit: float) -> Runner:
    """Returns the runner that reaches the level first, leaving the worse half behind at 1, 2, 4, ... epochs."""
    goal = min(1.0, limit)
    while True:
        for runner in field:  # up to where the fastest so far arrived, which the others must beat
            _advance(laboratory, runner, min([goal, *(other.arrival(goal) for other in field)]))
        field = sorted(field, key=methodcaller("rank", goal))
        if field[0].arrival(goal) <= goal or goal >= limit:
            return field[0]
        field, goal = field[: math.ceil(len(field) / 2)], min(2 * goal, limit)


def _enter(laboratory: "Laboratory", arm: str, settings: Train) -> Runner:
    run = laboratory.run(f"{arm}-{settings.learning_rate:g}", settings)
    return Runner(arm, settings, run, laboratory.curve(run, settings))


def _advance(laboratory: "Laboratory", runner: Runner, goal: float) -> None:
    """Trains up to `goal` epochs, or until the level is reached or the loss is no number any more."""
    curve = runner.curve

    def is_there() -> bool:
        curve.read()
        return curve.epochs >= goal or curve.reached() is not None

    if runner.has_diverged or is_there():
        return
    laboratory.observer.began(f"{runner.arm}, rate {runner.settings.learning_rate:g}, to {goal:g} epochs")
    curve.rewind()
    try:
        laboratory.train(f"{runner.arm}-{runner.settings.learning_rate:g}", runner.settings, is_there)
    except TrainingError:
        write(runner.run.folder / DIVERGED, "")
    curve.read()


def _raced(runners: list[Runner], finals: Mapping[str, list[Runner]], limit: float) -> Raced:
    """Returns the outcome; `finals` has the best runner of each arm and its other seeds."""
    ratio = compare_epochs({arm: [each.curve.reached() for each in final] for arm, final in finals.items()}, limit)
    laps = [(each.settings.batch_size, rate) for each in runners for rate in each.curve.images_per_s]
    description = runners[0].run.description()
    return Raced(
        rows=tuple(each.row(limit) for each in runners),
        verdict=ratio.verdict,
        answer=(words.race(ratio, limit, LEVEL, PAPER_RATIO),),
        cost=Cost(sum(batch / rate for batch, rate in laps), sum(batch for batch, _ in laps)),
        versions=description.versions,
        machine=description.machine,
        level=LEVEL,
        grid=RATES,
        limit=limit,
        best={arm: final[0].settings.learning_rate for arm, final in finals.items()},
        epochs=ratio.epochs,
        ratio=ratio.ratio,
        ratio_interval=ratio.ratio_interval,
        is_at_least=ratio.is_at_least,
    )
