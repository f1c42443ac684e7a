"""What all kinds of experiment have in common: what they are asked, how they answer, and what they leave in claim.json.

A kind is one file with a subclass of `Experiment` and one of `Outcome`: `comparison.py` and `race.py` train networks,
`count.py` does not.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from alexnet import config
from alexnet.claims.budgets import Budget
from alexnet.config import Train, Value
from alexnet.errors import UsageError
from alexnet.models.variants import row, stored_size
from alexnet.records import Machine, Record

if TYPE_CHECKING:  # it imports torch, which a list of the claims does not wait for
    from alexnet.claims.laboratory import Laboratory

Changes = Mapping[str, Value]
"""Setting -> its value in an arm."""


@dataclass(frozen=True)
class Request:
    """What a person wants to know: the claim, the data as the user calls them, and the name of a budget.

    `seeds` are the networks an arm and `pictures` those to train on (None takes the budget's numbers), `out` is the
    folder of all experiments, and `changes` apply to every arm.
    """

    name: str
    source: str
    budget: str
    seeds: int | None
    out: Path
    changes: Changes
    pictures: int | None = None


class Cost(Record, frozen=True):
    """Seconds of training and pictures trained on, of all runs of an experiment, whenever they were made."""

    seconds: float = 0.0
    images: int = 0


class Outcome(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What was measured, one of the three verdicts, the answer in sentences, the cost, and the first run's versions."""

    rows: tuple[Record, ...]
    verdict: str
    answer: tuple[str, ...]
    cost: Cost
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    machine: Machine | None = None

    def table(self) -> list[str]:
        """Returns what was measured as lines of text."""
        raise NotImplementedError


class Data(Record, frozen=True, kw_only=True):
    """The data of an experiment: what opens them, their name and content hash, classes, and pictures of each split."""

    source: str
    name: str
    hash: str
    classes: int
    counts: dict[str, int]


class Conditions(Record, frozen=True, kw_only=True):
    """What an experiment was made under: settings of all arms, changes of each, and why the answer may be weak."""

    budget: str
    seeds: int
    data: Data
    settings: dict[str, Value]
    arms: dict[str, dict[str, Value]]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Experiment(ABC):
    """A way to put a claim to the test by training networks.

    The methods take a budget whose settings are those of every arm, and whose seeds are the networks an arm.

    Attributes:
        arms: Arm -> the settings that it changes; the first arm has what the claim praises.
        reserved: Setting that the experiment decides itself -> the reason.
        least_seeds: Fewest networks an arm that can give an answer.
        averages: Whether the usual number of networks is that of an ensemble.
    """

    arms: Mapping[str, Changes]

    kind: ClassVar[str]
    budgets: ClassVar[Mapping[str, Budget]]
    least_seeds: ClassVar[int] = 1
    averages: ClassVar[bool] = False
    reserved: ClassVar[Mapping[str, str]] = {
        "seed": "every arm has the seeds 0, 1, ...; the number of seeds says how many",
        "evaluate_every": "nothing may be chosen by the pictures that the answer is measured on",
    }

    def settings(self, arm: str, train: Train) -> Train:
        """Returns the settings of an arm."""
        return config.change(train, self.arms[arm])

    def apply(self, changes: Changes, train: Train) -> Train:
        """Returns the settings of a budget with the user's changes.

        Raises:
            UsageError: A change is no setting, or makes the answer another question's.
        """
        changed, reasons = config.change(train, changes), dict(self.reserved)
        for arm, own in self.arms.items():
            for name, value in own.items():
                is_undone = getattr(train, name) != value == getattr(changed, name)
                # Where one arm alone sets it, the user may give the other one another value.
                if is_undone or all(name in other for other in self.arms.values()):
                    reasons.setdefault(name, f"it is what {arm} changes")
        for name in changes:
            if name in reasons:
                raise UsageError(f"the setting {name} does not fit this claim: {reasons[name]}")
        return changed

    def check(self, budget: Budget) -> None:
        """Refuses what can have no answer.

        Raises:
            UsageError: There are too few seeds, or the pictures are smaller than the crops.
        """
        train = budget.train
        side, stored = train.input_size or row(train.variant).input_size, train.stored_size
        if stored is not None and side > stored:
            suited = f"set stored_size={stored_size(train.variant, side)} too"
            raise UsageError(f"crops of {side} pixels do not fit into pictures of {stored}: {suited}")
        if budget.seeds < self.least_seeds:
            raise UsageError(f"this claim takes {self.least_seeds} or more seeds, got {budget.seeds}")

    @abstractmethod
    def warnings(self, budget: Budget, laboratory: "Laboratory") -> list[str]:
        """Returns the reasons why the answer may be weak, before it is known."""

    @abstractmethod
    def conduct(self, budget: Budget, laboratory: "Laboratory") -> Outcome:
        """Trains what is not trained yet, tests, and compares.

        Raises:
            UsageError: The question has no meaning for these data.
            Stopped: The observer asked to stop; the same call goes on.
        """
