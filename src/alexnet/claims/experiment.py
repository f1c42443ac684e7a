"""Training and testing the arms: ordinary run folders, begun, continued, or left as they are.

    OUT/runs/without-lrn-0-5f2a81c3/    the run: arm, seed, and a hash of its settings, data and numbers
    OUT/lrn/claim.json, claim.html      the answer

The hash lets claims share what they have in common: the whole network, trained once a seed, is an arm of most.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet import config, machine
from alexnet.claims.budgets import Budget
from alexnet.claims.table import Claim
from alexnet.config import Train
from alexnet.data.pictures import Pictures
from alexnet.data.store import Store
from alexnet.evaluation.classifier import Classifier, load
from alexnet.evaluation.metrics import topk_errors
from alexnet.files import replacing, write
from alexnet.observer import Observer
from alexnet.run import Run
from alexnet.training.loop import begin
from alexnet.training.plan import total_steps

TOGETHER = 128

SEEN = 5000
"""Training pictures that a trained run is asked about."""

_FIRST_HASHED = ("recipe", "variant", "input_size", "stored_size")
"""The settings that come first in the hash of a run: another order would train every finished run again."""

Floats = NDArray[np.float64]


class Stopped(Exception):
    """The person asked to stop; everything so far is saved."""


@dataclass(frozen=True)
class Experiment:
    """What all runs of an experiment have in common.

    Attributes:
        store: The data.
        source: What opens them again.
        out: The folder of all experiments.
        follower: Is told how it goes.
        should_stop: Asked after every step.
    """

    store: Store
    source: str
    out: Path
    follower: Observer
    should_stop: Callable[[], bool] = lambda: False

    def folder(self, arm: str, settings: Train) -> Path:
        """Gives the run folder of an arm, which these settings, data and this machine's numbers have for themselves."""
        numbers = str(machine.dtype(settings.precision))
        in_order = dict.fromkeys(_FIRST_HASHED) | config.to_json(settings)
        facts = json.dumps([in_order, self.store.content_hash, numbers]).encode()
        return self.out / "runs" / f"{arm}-{settings.seed}-{blake2b(facts, digest_size=4).hexdigest()}"

    def train(self, arm: str, settings: Train, should_stop: Callable[[], bool] | None = None) -> bool:
        """Trains one run, or continues it; True if it is complete. `should_stop` may end it early, for good.

        Raises:
            Stopped: The person asked to stop.
        """
        folder = self.folder(arm, settings)

        def stop() -> bool:
            return self.should_stop() or (should_stop is not None and should_stop())

        with begin(settings, self.store, self.source, Run(folder), self.follower, goes_on=True) as training:
            done = training.run(stop)
        if not done and self.should_stop():
            raise Stopped
        return done


@dataclass(frozen=True)
class Trained:
    """A finished run.

    Attributes:
        arm: Its name.
        seed: Of everything random in it.
        folder: Its run folder.
        images: Pictures it was trained on, with repetitions.
        seconds: Its training took.
    """

    arm: str
    seed: int
    folder: Path
    images: int
    seconds: float


def plan(claim: Claim, budget: Budget, seeds: int) -> list[tuple[str, Train]]:
    """Gives the arm and the settings of every run, pairs of one seed side by side."""
    return [
        (name, replace(change(budget.train), seed=seed)) for seed in range(seeds) for name, change in claim.arms.items()
    ]


def finish(experiment: Experiment, arm: str, settings: Train) -> Trained:
    """Trains a run to its end, unless it is there already.

    The weights are those after the last step. They were evaluated once, so `model.safetensors` holds them, and what
    resuming needs goes.

    Raises:
        Stopped: The person asked to stop.
    """
    folder = experiment.folder(arm, settings)
    if not is_finished(folder):
        experiment.follower.began(f"{arm}, seed {settings.seed}")
        experiment.train(arm, settings)
    Run(folder).last.unlink(missing_ok=True)
    steps = total_steps(settings, len(experiment.store.splits["train"]))
    seconds = Run(folder).description().seconds or 0.0
    return Trained(arm, settings.seed, folder, steps * settings.batch_size, seconds)


def is_finished(folder: Path) -> bool:
    """Says whether a run needs no more training."""
    run = Run(folder)
    return run.exists and run.description().seconds is not None


def held_out(store: Store) -> list[str]:
    """Names the splits to test on: all that were not trained on."""
    return [name for name in store.splits if name != "train"]


def labels(store: Store) -> NDArray[np.int64]:
    """Gives the true classes of the test pictures."""
    return np.concatenate([store.splits[name].labels for name in held_out(store)])


def answers(trained: Trained, store: Store, views: int) -> NDArray[np.float32]:
    """Gives a run's probabilities of each class for every test picture, (N, C); asked once, then read."""
    path = trained.folder / f"answers-{views}-views.npy"
    if not path.is_file():
        classifier = load(trained.folder, numbers=_numbers(trained.folder))
        found = np.concatenate([_ask(classifier, store, name, views) for name in held_out(store)])
        with replacing(path) as file:
            np.save(file, found)
    return np.asarray(np.load(path))


def training_error(trained: Trained, store: Store) -> float:
    """Gives the share of its training pictures that a run names wrongly, seen as the test pictures are.

    Of more than `SEEN` training pictures it asks so many, evenly spread.
    """
    path = trained.folder / "training-error.json"
    if not path.is_file():
        labels = store.splits["train"].labels
        chosen = np.unique(np.linspace(0, len(labels) - 1, min(SEEN, len(labels))).astype(np.int64))
        found = _ask(load(trained.folder, numbers=_numbers(trained.folder)), store, "train", 1, chosen)
        write(path, json.dumps(float(topk_errors(found, labels[chosen], 1).mean())))
    return float(json.loads(path.read_text(encoding="utf-8")))


def _numbers(folder: Path) -> str:
    settings = Run(folder).description().settings
    return settings.precision if settings else "auto"


def _ask(
    classifier: Classifier, store: Store, name: str, views: int, chosen: NDArray[np.int64] | None = None
) -> NDArray[np.float32]:
    """Gives the probabilities of the pictures of a split, or of the chosen ones."""
    split = store.splits[name]
    chosen = np.arange(len(split)) if chosen is None else chosen
    pictures = Pictures(split, store.size, memory_budget=0)
    try:
        batches = [chosen[start : start + TOGETHER] for start in range(0, len(chosen), TOGETHER)]
        return np.concatenate([classifier.probabilities(pictures.read(batch), views) for batch in batches])
    finally:
        pictures.close()


def by_arm(runs: Sequence[Trained]) -> dict[str, list[Trained]]:
    """Gives the runs of each arm, in the order of their seeds."""
    arms: dict[str, list[Trained]] = {}
    for trained in runs:
        arms.setdefault(trained.arm, []).append(trained)
    return arms


def total(runs: Sequence[Trained]) -> dict[str, Any]:
    """Gives what the runs cost, whenever they were made."""
    return {"seconds": sum(r.seconds for r in runs), "images": sum(r.images for r in runs)}
