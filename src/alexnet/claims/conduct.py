"""One claim from beginning to end: open the data, say what is coming, train, test, answer, write it down."""

from dataclasses import replace
from datetime import UTC, datetime

from alexnet import config
from alexnet.claims.count import Count
from alexnet.claims.experiment import Conditions, Data, Experiment, Outcome, Request
from alexnet.claims.laboratory import Laboratory
from alexnet.claims.page import claim_page
from alexnet.claims.table import CLAIMS, ClaimResult
from alexnet.data.open import open_data
from alexnet.errors import DataError, UsageError
from alexnet.files import make_folder, write
from alexnet.observer import Observer
from alexnet.records import sealed

FEW_PICTURES = 2
ANSWER, PAGE = "claim.json", "claim.html"


def conduct(request: Request, observer: Observer | None = None) -> ClaimResult:
    """Answers a claim, and writes `claim.json` and `claim.html`. What an earlier call has trained is not trained again.

    The observer is told what is coming and how it goes, and may stop it after any step.

    Raises:
        UsageError: A name or a setting is unknown, there are too few seeds, or the data cannot answer the question.
        DataError: The data cannot be opened, or have nothing to train on or to test on.
        Stopped: The observer asked to stop; the same request goes on.
    """
    if request.name not in CLAIMS:
        raise UsageError(f"no claim {request.name!r}; there are {', '.join(CLAIMS)}")
    claim, conditions = CLAIMS[request.name], None
    if isinstance(claim.experiment, Count):
        outcome: Outcome = claim.experiment.count()
    else:
        conditions, outcome = _train(request, claim.experiment, observer or Observer())
    written = datetime.now(UTC).isoformat(timespec="seconds")
    result, folder = ClaimResult(request.name, claim, conditions, outcome, written), request.out / request.name
    make_folder(folder)
    write(folder / ANSWER, sealed(result.fields()) + "\n")
    write(folder / PAGE, claim_page(result).render())
    return result


def _train(request: Request, experiment: Experiment, observer: Observer) -> tuple[Conditions, Outcome]:
    if request.budget not in experiment.budgets:
        raise UsageError(f"no budget {request.budget!r}; there are {', '.join(experiment.budgets)}")
    budget = experiment.budgets[request.budget]
    usual = budget.averaged if experiment.averages else budget.seeds
    seeds = usual if request.seeds is None else request.seeds
    budget = replace(budget, train=experiment.apply(request.changes, budget.train), seeds=seeds)
    experiment.check(budget)
    size = budget.train.stored_size or 256
    store = open_data(
        request.source,
        size=size,
        most=budget.pictures,
        most_training=request.pictures,
        is_resized=True,
        observer=observer,
    )
    counts = {name: len(split) for name, split in store.splits.items()}
    if not {"train"} < counts.keys():
        has = f"{store.name} has {', '.join(counts)} only"
        raise DataError(f"{has}: an experiment takes pictures to train on and others to test on")
    if sum(counts.values()) - counts["train"] < FEW_PICTURES:
        raise DataError(f"{store.name} has a single picture to test on: an experiment takes {FEW_PICTURES} or more")
    laboratory = Laboratory(store, request.out, observer)
    warnings = [f"this budget takes {budget.about}", *experiment.warnings(budget, laboratory)]
    for line in (CLAIMS[request.name].statement, *warnings):
        observer.notice(line)
    conditions = Conditions(
        budget=request.budget,
        seeds=seeds,
        data=Data(
            source=request.source,
            name=store.name,
            hash=store.content_hash,
            classes=len(store.classes),
            counts=counts,
        ),
        settings=config.to_json(budget.train),
        arms={arm: dict(changes) for arm, changes in experiment.arms.items()},
        warnings=tuple(warnings),
    )
    return conditions, experiment.conduct(budget, laboratory)
