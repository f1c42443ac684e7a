"""One claim from beginning to end: open the data, say what is coming, train, test, answer, write it down."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from alexnet import config
from alexnet.claims import answer, count, experiment, forecast, race
from alexnet.claims.budgets import BUDGETS, RACE_BUDGETS, Budget
from alexnet.claims.experiment import Experiment
from alexnet.claims.page import render
from alexnet.claims.table import Claim, claim
from alexnet.config import Train
from alexnet.data.commit import Progress
from alexnet.data.remote import is_remote
from alexnet.data.share import from_store, share
from alexnet.data.sources import open_source
from alexnet.data.store import Store, cache_directory, is_store, open_store, pack
from alexnet.errors import DataError, UsageError
from alexnet.files import plain_errors, write
from alexnet.observer import Observer
from alexnet.pages.markup import duration
from alexnet.run import Run

FEW_PICTURES = 2

ANSWER, PAGE = "claim.json", "claim.html"


@dataclass(frozen=True)
class Request:
    """What a person asks.

    Attributes:
        name: A key of `CLAIMS`.
        source: The data, as `open_source` or `open_store` takes them.
        budget: A key of `BUDGETS`.
        seeds: Networks an arm; None takes the budget's.
        out: The folder of all experiments.
        changes: `name=value` assignments that change the settings of every arm.
    """

    name: str
    source: str
    budget: str
    seeds: int | None
    out: Path
    changes: tuple[str, ...] = ()


def conduct(
    request: Request,
    follower: Observer | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Answers a claim; what an earlier call has trained is not trained again.

    Args:
        request: What to do.
        follower: Is told what is coming, and how it goes.
        should_stop: Asked after every step; True saves and stops.
        progress: Told how packing goes.

    Returns:
        The contents of `claim.json`.

    Raises:
        UsageError: A name or a setting is unknown, there are too few seeds, or the question has no meaning for
            these data.
        DataError: The source cannot serve.
        Stopped: It was asked to stop; the same request goes on.
    """
    follower, asked = follower or Observer(), claim(request.name)
    result: dict[str, Any] = {"claim": request.name, **_said(asked)}
    if asked.kind == "count":
        return _write(request, {**result, **count.measure(), "cost": {"seconds": 0.0, "images": 0}})
    budget = (RACE_BUDGETS if asked.kind == "race" else BUDGETS)[request.budget]
    changed = config.override(budget.train, list(request.changes))
    _check_changes(request.changes, asked, budget.train, changed)
    budget = replace(budget, train=changed)
    usual = budget.averaged if asked.kind == "ensemble" else budget.seeds
    seeds = usual if request.seeds is None else request.seeds
    forecast.check(asked, budget.train, seeds)
    store, place = open_data(request.source, budget, progress)
    work = Experiment(store, place, request.out, follower, should_stop)
    result |= _facts(request, asked, budget, seeds, store)
    result["warnings"] = forecast.warnings(asked, budget, seeds, store)
    for line in (asked.statement, *result["warnings"]):
        follower.notice(line)
    made = _race(asked, budget, seeds, work) if asked.kind == "race" else _train(asked, budget, seeds, work)
    return _write(request, {**result, **made})


def open_data(source: str, budget: Budget, progress: Progress | None = None) -> tuple[Store, str]:
    """Opens the share of the data that a budget takes, at its size, packed into the cache.

    Returns:
        The data, and what opens them again.

    Raises:
        UsageError, DataError: As `open_source`, `open_store` and `pack`; or there is nothing to train or to test on.
    """
    side = budget.train.stored_size or 256
    if is_remote(source) or is_store(source):
        store = open_store(source)
        if store.size == side and budget.pictures is None:
            return _complete(store), source
        opened = from_store(store)
    else:
        opened = open_source(source)
    if budget.pictures is not None:
        opened = share(opened, budget.pictures)
    place = cache_directory(opened, side)
    return _complete(pack(opened, place, size=side, progress=progress)), str(place)


def _complete(store: Store) -> Store:
    """Gives the store back.

    Raises:
        DataError: It has nothing to train on, or nothing to test on.
    """
    if not {"train"} < store.splits.keys():
        has = ", ".join(store.splits)
        raise DataError(f"{store.name} has {has} only: an experiment takes pictures to train on and others to test on")
    if sum(len(split) for name, split in store.splits.items() if name != "train") < FEW_PICTURES:
        raise DataError(f"{store.name} has a single picture to test on: an experiment takes {FEW_PICTURES} or more")
    return store


def _train(asked: Claim, budget: Budget, seeds: int, work: Experiment) -> dict[str, Any]:
    plan = experiment.plan(asked, budget, seeds)
    left = [(arm, settings) for arm, settings in plan if not experiment.is_finished(work.folder(arm, settings))]
    seconds = forecast.cost(left, work.store)
    work.follower.notice(f"{len(plan)} runs, {len(left)} to be trained: about {duration(seconds)} on this machine")
    runs = [experiment.finish(work, arm, settings) for arm, settings in plan]
    arms = experiment.by_arm(runs)
    made = answer.measure(asked, arms, work.store)
    return {**made, "cost": experiment.total(runs), **_made_with(runs[0].folder)}


def _race(asked: Claim, budget: Budget, seeds: int, work: Experiment) -> dict[str, Any]:
    level = forecast.guessing(work.store)
    if level <= race.LEVEL:
        raise UsageError(
            f"always naming the largest class errs on {level:.0%} of {work.store.name}'s training pictures: a race to "
            f"{race.LEVEL:.0%} is won before it starts; take data with more classes"
        )
    steps = len(work.store.splits["train"]) / budget.train.batch_size
    epoch = steps * forecast.seconds_per_step(budget.train, len(work.store.classes))
    most = race.most_epochs(seeds, budget.train.epochs) * epoch
    work.follower.notice(
        f"rates {', '.join(f'{rate:g}' for rate in race.RATES)} for each arm; an epoch takes about {duration(epoch)} "
        f"on this machine, and all of it at most {duration(most)}"
    )
    made = race.measure(asked, budget, seeds, work)
    return {**made, **_made_with(Path(made["rows"][0]["run"]))}


def _check_changes(changes: tuple[str, ...], asked: Claim, before: Train, after: Train) -> None:
    """Refuses changes that would make the answer another question's."""
    why = {
        "seed": "every arm has the seeds 0, 1, ...; --seeds says how many",
        "evaluate_every": "nothing may be chosen by the pictures that the answer is measured on",
    }
    if asked.kind == "race":
        why |= {"learning_rate": "the race tries rates of its own", "steps": "the race counts epochs; --set epochs"}
    still = {name for changed in asked.changes(after).values() for name in changed}
    arms = asked.changes(before)
    for arm, changed in arms.items():
        pointless = [name for name in changed if name not in still or all(name in other for other in arms.values())]
        why = dict.fromkeys(pointless, f"it is what {arm} changes") | why
    for name in (change.partition("=")[0] for change in changes):
        if name in why:
            raise UsageError(f"--set {name} does not fit this claim: {why[name]}")


def _said(asked: Claim) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in ("statement", "where", "paper", "log", "kind")}


def _facts(request: Request, asked: Claim, budget: Budget, seeds: int, store: Store) -> dict[str, Any]:
    counts = {name: len(split) for name, split in store.splits.items()}
    return {
        "budget": request.budget,
        "seeds": seeds,
        "data": {
            "source": request.source,
            "name": store.name,
            "hash": store.content_hash,
            "classes": len(store.classes),
            "counts": counts,
        },
        "settings": config.to_json(budget.train),
        "arms": asked.changes(budget.train),
    }


def _made_with(folder: Path) -> dict[str, Any]:
    description = Run(folder).description()
    return {"versions": description.versions, "machine": msgspec.to_builtins(description.machine)}


def _write(request: Request, result: dict[str, Any]) -> dict[str, Any]:
    folder = request.out / request.name
    with plain_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    result = {**result, "written": datetime.now(UTC).isoformat(timespec="seconds")}
    write(folder / ANSWER, json.dumps(result, indent=1) + "\n")
    write(folder / PAGE, render(result))
    return {**result, "page": str(folder / PAGE)}
