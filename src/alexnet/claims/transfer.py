"""Starts networks from a trained one, with none, some or all of its layers frozen, and trains others from scratch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

from alexnet.claims.budgets import TRANSFER_BUDGETS, Budget
from alexnet.claims.comparison import POINT, Compared, Comparison, answered, centres, stacked
from alexnet.claims.experiment import Experiment, Outcome
from alexnet.claims.statistics import compare
from alexnet.config import Train
from alexnet.weights.box import TINY_IMAGENET

if TYPE_CHECKING:  # it imports torch, which a list of the claims does not wait for
    from alexnet.claims.laboratory import FinishedRun, Laboratory
    from alexnet.foreign.trained import TrainedNetwork


@dataclass(frozen=True)
class Transfer(Comparison):
    """A first arm that starts from a trained network, against each of the others.

    All arms have the design and the preprocessing of that network, `origin`. Those that fit their head first start
    from its weights, the others from scratch.

    Source: Yosinski et al. 2014, who freeze the first n layers, for every n.
    """

    origin: str = TINY_IMAGENET

    kind: ClassVar[str] = "transfer"
    budgets: ClassVar[Mapping[str, Budget]] = TRANSFER_BUDGETS

    def settings(self, arm: str, train: Train) -> Train:
        """Returns the settings of an arm, as far as the trained network leaves them open."""
        from alexnet.training.transfer import take_over

        return take_over(super().settings(arm, train), {}, _opened(self.origin))

    def check(self, budget: Budget) -> None:
        """Refuses what can have no answer; see `Experiment.check`."""
        Experiment.check(self, budget)

    def conduct(self, budget: Budget, laboratory: "Laboratory") -> Outcome:
        """Trains the arms, tests them, and compares; see `Experiment.conduct`."""
        return super().conduct(budget, replace(laboratory, origin=_opened(self.origin)))

    def measure(self, runs: Sequence["FinishedRun"], laboratory: "Laboratory") -> Compared:
        """Tests the runs on all pictures that were not trained on, and compares the first arm with each other one."""
        tested = {arm: centres([run for run in runs if run.arm == arm], laboratory) for arm in self.arms}
        first, *others = tested
        papers = self.papers(len(tested[first]))
        differences = {}
        for arm in others:
            for name in tested[first][0].errors if arm == others[0] else ("top1",):
                key = f"{first} against {arm}: {name}"
                size = papers.get(name, POINT) if arm == others[0] else POINT
                differences[key] = compare(stacked(tested[arm], name), stacked(tested[first], name), size)
        of_papers = {f"{first} against {others[0]}: {name}": size for name, size in papers.items()}
        return answered(runs, [each for side in tested.values() for each in side], differences, of_papers, laboratory)


@cache
def _opened(origin: str) -> "TrainedNetwork":
    """Opens a trained network, once for all arms and seeds."""
    from alexnet.foreign.trained import open_trained

    return open_trained(origin)
