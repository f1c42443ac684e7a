"""Trains two arms and compares their errors; or one arm, tested in two ways."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from alexnet.claims import words
from alexnet.claims.budgets import BUDGETS, Budget
from alexnet.claims.experiment import Cost, Experiment, Outcome
from alexnet.claims.statistics import NOT_SEEN, Difference, Floats, compare, naive_error, resolved
from alexnet.errors import UsageError
from alexnet.evaluation.metrics import TOP, interval, topk_errors
from alexnet.pages.markup import duration
from alexnet.records import Fraction, Record

if TYPE_CHECKING:  # it imports torch, which a list of the claims does not wait for
    from alexnet.claims.laboratory import FinishedRun, Laboratory

POINT = 0.01  # the difference to look for where the paper gives none
FEW_SEEDS = 3
ALL_BUT_GRAY = 1e-3  # colours whose second eigenvalue is below this part of the largest look gray
LAYERS = ("variant", "activation", "lrn", "alpha_factor", "pooling", "without", "dropout")  # change layers, no more

HEADS = {"top1_error": "top-1 error", "top5_error": "top-5 error", "training_error": "training"}


class NetworkRow(Record, frozen=True, kw_only=True, omit_defaults=True):
    """The errors of one network, by its arm or by how it was tested; an average of several has neither seed nor run.

    Five classes or fewer have no top-5 error.
    """

    name: str
    seed: int | None
    top1_error: Fraction
    top5_error: Fraction | None = None
    training_error: Fraction | None = None
    run: str | None = None


class Compared(Outcome, frozen=True, kw_only=True):
    """The outcome of a comparison: a row for each network, and the differences `top1` and perhaps `top5`."""

    rows: tuple[NetworkRow, ...]
    differences: dict[str, Difference]

    def table(self) -> list[str]:
        """Returns a line for each network."""
        columns = [key for key in HEADS if any(getattr(row, key) is not None for row in self.rows)]
        lines = [f"{'':<26}{'seed':>5}" + "".join(f"{HEADS[key]:>13}" for key in columns)]
        for row in self.rows:
            errors = (getattr(row, key) for key in columns)
            cells = "".join(" " * 13 if error is None else f"{error:13.2%}" for error in errors)
            lines.append(f"{row.name:<26}{'' if row.seed is None else row.seed:>5}{cells}")
        return lines


@dataclass(frozen=True)
class Tested:
    """A network, or an average of several: its row, and its `top1` and perhaps `top5` error on each test picture."""

    row: NetworkRow
    errors: dict[str, Floats]


@dataclass(frozen=True)
class Comparison(Experiment):
    """Two arms, trained with paired seeds.

    `top1` and `top5` are the paper's differences, fractions above 0 where the first arm errs less; None where it gives
    none. They may be those of so many `networks` only.
    """

    top1: float | None = None
    top5: float | None = None
    networks: int | None = None

    kind: ClassVar[str] = "arms"
    budgets: ClassVar[Mapping[str, Budget]] = BUDGETS

    def papers(self, networks: int) -> dict[str, float]:
        """Returns the paper's differences, `top1` and `top5`, as far as they are of so many networks an arm."""
        sizes = {"top1": self.top1, "top5": self.top5} if self.networks in (None, networks) else {}
        return {name: size for name, size in sizes.items() if size is not None}

    def check(self, budget: Budget) -> None:
        """Refuses what can have no answer.

        Raises:
            UsageError: As `Experiment.check`, or both arms are one and the same network.
        """
        super().check(budget)
        if len(self.arms) < 2:
            return
        from alexnet.claims.forecast import layers

        ours, theirs = (self.settings(arm, budget.train) for arm in self.arms)
        other_layers_only = replace(theirs, **{name: getattr(ours, name) for name in LAYERS}) == ours
        if other_layers_only and layers(ours) == layers(theirs):
            raise UsageError(f"{ours.variant} has nothing that this claim takes away: both arms are the same network")

    def warnings(self, budget: Budget, laboratory: "Laboratory") -> list[str]:
        """Returns the reasons why the answer may be weak, before it is known."""
        store, seeds, texts = laboratory.store, budget.seeds, list[str]()
        tested, classes = len(laboratory.labels), len(store.classes)
        size, visible = self.papers(seeds).get("top1", POINT), resolved(tested, seeds)
        if classes <= TOP:
            texts.append(f"{classes} classes: five guesses name every class, so only the top-1 error is compared")
        if visible > size:
            texts.append(
                f"{tested:,} test pictures show differences of about {visible * 100:.1f} points or more, this claim is "
                f"about {size * 100:.1f}: the likely answer is '{NOT_SEEN}'; about "
                f"{math.ceil(tested * (visible / size) ** 2):,} would show it"
            )
        if any("colour" in changes for changes in self.arms.values()):
            *_, second, largest = np.linalg.eigvalsh(store.covariance)
            if second < ALL_BUT_GRAY * largest:
                texts.append(
                    f"the pictures of {store.name} are all but gray: the noise changes how bright they are, no colour"
                )
        if seeds < FEW_SEEDS and len(self.arms) > 1:
            texts.append(f"{seeds} seed{'s' * (seeds > 1)} an arm: what other seeds would give is hardly known")
        return texts

    def conduct(self, budget: Budget, laboratory: "Laboratory") -> Outcome:
        """Trains the arms, tests them, and compares; see `Experiment.conduct`."""
        seeds = (replace(budget.train, seed=seed) for seed in range(budget.seeds))
        plan = [(arm, self.settings(arm, train)) for train in seeds for arm in self.arms]
        left = [(arm, settings) for arm, settings in plan if not laboratory.is_finished(arm, settings)]
        paces = {arm: laboratory.seconds_per_step(settings) for arm, settings in dict(left).items()}
        seconds = sum(paces[arm] * laboratory.steps(settings) for arm, settings in left)
        text = f"{len(plan)} runs, {len(left)} to be trained: about {duration(seconds)} on this machine"
        laboratory.observer.notice(text)
        return self.measure([laboratory.finish(arm, settings) for arm, settings in plan], laboratory)

    def measure(self, runs: Sequence["FinishedRun"], laboratory: "Laboratory") -> Compared:
        """Tests the runs on all pictures that were not trained on, and compares them."""
        better, worse = self.sides(runs, laboratory)
        papers, differences = self.papers(len(worse)), {}
        for name in better[0].errors:
            ours, theirs = (stacked(side, name) for side in (better, worse))
            differences[name] = self.difference(theirs, ours, papers.get(name, POINT))
        return answered(runs, [*better, *worse], differences, papers, laboratory)

    def sides(self, runs: Sequence["FinishedRun"], laboratory: "Laboratory") -> tuple[list[Tested], list[Tested]]:
        """Returns what is compared, the side that the claim praises first."""
        first, second = (centres([run for run in runs if run.arm == arm], laboratory) for arm in self.arms)
        return first, second

    def difference(self, worse: Floats, better: Floats, size: float) -> Difference:
        """Compares errors (seeds, pictures) of both sides."""
        return compare(worse, better, size)


@dataclass(frozen=True)
class Views(Comparison):
    """Networks tested on ten views of each picture, against the same networks on the centre alone."""

    kind: ClassVar[str] = "views"

    def sides(self, runs: Sequence["FinishedRun"], laboratory: "Laboratory") -> tuple[list[Tested], list[Tested]]:
        """Returns the answers of the ten views, then those of the centre."""
        ten = [_test("10 views", run.seed, laboratory.answers(run, 10), laboratory) for run in runs]
        return ten, [_test("1 view", run.seed, laboratory.answers(run, 1), laboratory) for run in runs]


@dataclass(frozen=True)
class Ensemble(Comparison):
    """Several networks averaged, against the mean of their own errors."""

    kind: ClassVar[str] = "ensemble"
    least_seeds: ClassVar[int] = 2
    averages: ClassVar[bool] = True

    def sides(self, runs: Sequence["FinishedRun"], laboratory: "Laboratory") -> tuple[list[Tested], list[Tested]]:
        """Returns the answers of the average, then those of its members."""
        average = np.mean([laboratory.answers(run, 1) for run in runs], 0)
        return [_test(f"{len(runs)} averaged", None, average, laboratory)], centres(runs, laboratory)

    def difference(self, worse: Floats, better: Floats, size: float) -> Difference:
        """Compares the average with the mean of its members; the one difference belongs to no seed."""
        return structs.replace(compare(worse.mean(0, keepdims=True), better, size), each=())


def answered(
    runs: Sequence["FinishedRun"],
    tested: Sequence[Tested],
    differences: dict[str, Difference],
    papers: Mapping[str, float],
    laboratory: "Laboratory",
) -> Compared:
    """Returns the outcome of differences, the first of which decides; `papers` has those of which the paper speaks."""
    truth, rows = laboratory.labels, [each.row for each in tested]
    naive = naive_error(truth)
    if all(interval(row.top1_error, len(truth))[1] < naive for row in rows):
        answer = [words.difference(name, value, name in papers) for name, value in differences.items()]
    else:
        answer = [words.unlearned(max(row.top1_error for row in rows), naive)]
        differences = {name: structs.replace(value, verdict=NOT_SEEN) for name, value in differences.items()}
    first = runs[0].description
    return Compared(
        verdict=next(iter(differences.values())).verdict,
        answer=tuple(answer),
        cost=Cost(sum(run.description.seconds or 0.0 for run in runs), sum(run.images for run in runs)),
        versions=first.versions,
        machine=first.machine,
        rows=tuple(rows),
        differences=differences,
    )


def stacked(side: Sequence[Tested], name: str) -> Floats:
    """Returns the `top1` or `top5` errors of the networks of a side: (networks, pictures)."""
    return np.stack([each.errors[name] for each in side])


def centres(runs: Sequence["FinishedRun"], laboratory: "Laboratory") -> list[Tested]:
    """Tests each network on the centre of each picture."""
    return [_test(run.arm, run.seed, laboratory.answers(run, 1), laboratory, run) for run in runs]


def _test(
    name: str,
    seed: int | None,
    answers: NDArray[np.float32],
    laboratory: "Laboratory",
    run: "FinishedRun | None" = None,
) -> Tested:
    """Counts the errors of probabilities (N, C) of classes; only a run's row has a training error."""
    tops = {"top1": 1, "top5": TOP} if len(laboratory.store.classes) > TOP else {"top1": 1}
    errors = {top: topk_errors(answers, laboratory.labels, k) for top, k in tops.items()}
    row = NetworkRow(
        name=name,
        seed=seed,
        top1_error=float(errors["top1"].mean()),
        top5_error=float(errors["top5"].mean()) if "top5" in errors else None,
        training_error=laboratory.training_error(run) if run else None,
        run=str(run.folder) if run else None,
    )
    return Tested(row, errors)
