"""From finished runs to an answer: errors, their differences, and what they say in words."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alexnet.claims.experiment import Floats, Trained, answers, labels, training_error
from alexnet.claims.forecast import POINT
from alexnet.claims.statistics import NOT_SEEN, Difference, compare
from alexnet.claims.table import Claim, as_published
from alexnet.data.store import Store
from alexnet.evaluation.metrics import TOP, interval, topk_errors

Probabilities = NDArray[np.float32]
Row = dict[str, Any]
Side = list[tuple[str, int | None, Probabilities]]
"""What is compared: name, seed and (N, C) probabilities, the side that the claim praises first."""


def measure(claim: Claim, runs: Mapping[str, Sequence[Trained]], store: Store) -> dict[str, Any]:
    """Tests the runs and compares them.

    Args:
        claim: Of any kind that trains and tests.
        runs: Arm -> its runs, by seed.
        store: The data; all pictures that were not trained on are tested, the centre view where the claim is not
            about views.

    Returns:
        `rows`, the errors of every network; `differences`, top1 and (beyond five classes) top5; `verdict` and
        `answer`.
    """
    better, worse = _sides(claim, runs, store)
    truth = labels(store)
    kinds = {"top1": 1, "top5": TOP} if len(store.classes) > TOP else {"top1": 1}
    errors = {name: [_errors(side, truth, k) for side in (better, worse)] for name, k in kinds.items()}
    if claim.kind == "ensemble":  # one average against the mean of its members
        errors = {name: [ours, theirs.mean(0, keepdims=True)] for name, (ours, theirs) in errors.items()}
    claim = as_published(claim, len(worse))
    sizes = {"top1": claim.top1 or POINT, "top5": claim.top5 or POINT}
    differences = {name: compare(theirs, ours, sizes[name]) for name, (ours, theirs) in errors.items()}
    if claim.kind == "ensemble":  # whose one difference is of no seed
        differences = {name: replace(found, each=[]) for name, found in differences.items()}
    rows, naive = _rows(better + worse, truth, kinds, runs, store), 1 - np.bincount(truth).max() / len(truth)
    if has_learned := all(interval(row["top1_error"], len(truth))[1] < naive for row in rows):
        said = [in_words(name, found, claim) for name, found in differences.items()]
    else:
        worst = max(row["top1_error"] for row in rows)
        said = [
            f"{NOT_SEEN}: a network errs on {worst:.1%} of the pictures, always naming the largest class "
            f"on {naive:.1%}. It has not learned enough for its differences to mean anything; take a larger budget."
        ]
    verdicts = {name: found.verdict if has_learned else NOT_SEEN for name, found in differences.items()}
    return {
        "rows": rows,
        "differences": {name: {**asdict(found), "verdict": verdicts[name]} for name, found in differences.items()},
        "verdict": verdicts["top1"],
        "answer": said,
    }


def in_words(name: str, found: Difference, claim: Claim) -> str:
    """Says a difference, how sure it is, and what would settle it."""
    what = name.replace("top", "top-")
    text = (
        f"{what} error: {_less(found.mean)}, 95 % interval {_less(found.low)} to {_less(found.high)}, over "
        f"{found.pictures:,} pictures{_seeds(len(found.each))}: {found.verdict}."
    )
    if found.verdict != NOT_SEEN:
        return text
    known = getattr(claim, name) is not None
    size = f"the paper's {found.size * 100:.1f} points" if known else f"{found.size * 100:.1f} point"
    if found.high < found.size:
        return f"{text} So much as {size} is not there: it lies outside."
    if found.pictures_needed <= found.pictures and (found.seeds_needed or 1) <= max(1, len(found.each)):
        return f"{text} The experiment is large enough for {size}, and came out between it and none."
    takes = [f"{found.seeds_needed:,} seeds"] if found.seeds_needed else []
    if found.pictures_needed > found.pictures or not takes:
        takes.append(f"{found.pictures_needed:,} pictures")
    return f"{text} To see {size} takes about {' and '.join(takes)}."


def _seeds(count: int) -> str:
    return f" and {count} seeds" if count > 1 else ", one seed" if count else ""


def _sides(claim: Claim, runs: Mapping[str, Sequence[Trained]], store: Store) -> tuple[Side, Side]:
    first, *others = claim.arms
    one = {arm: [(arm, r.seed, answers(r, store, 1)) for r in runs[arm]] for arm in claim.arms}
    if claim.kind == "views":
        ten: Side = [("10 views", r.seed, answers(r, store, 10)) for r in runs[first]]
        return ten, [("1 view", seed, found) for _, seed, found in one[first]]
    if claim.kind == "ensemble":
        average = np.mean([found for _, _, found in one[first]], 0)
        return [(f"{len(runs[first])} averaged", None, average)], list(one[first])
    return list(one[first]), list(one[others[0]])


def _errors(side: Side, truth: NDArray[np.int64], k: int) -> Floats:
    return np.stack([topk_errors(found, truth, k) for _, _, found in side])


def _rows(
    side: Side,
    truth: NDArray[np.int64],
    kinds: Mapping[str, int],
    runs: Mapping[str, Sequence[Trained]],
    store: Store,
) -> list[Row]:
    known = {(r.arm, r.seed): r for trained in runs.values() for r in trained}
    rows = []
    for name, seed, found in side:
        row: Row = {"name": name, "seed": seed}
        row |= {f"{kind}_error": float(topk_errors(found, truth, k).mean()) for kind, k in kinds.items()}
        if trained := known.get((name, seed)):  # type: ignore[arg-type]
            row |= {"training_error": training_error(trained, store), "run": str(trained.folder)}
        rows.append(row)
    return rows


def _less(fraction: float) -> str:
    return f"{abs(fraction) * 100:.1f} points {'less' if fraction >= 0 else 'more'}"
