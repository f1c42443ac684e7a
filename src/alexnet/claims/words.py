"""What the numbers of an experiment say, in sentences."""

from alexnet.claims.statistics import NOT_SEEN, OPPOSITE, Difference, Ratio


def difference(name: str, value: Difference, is_papers: bool) -> str:
    """Returns how large a difference of `top1` or `top5` errors is, how sure, and what would settle it.

    `is_papers` says whether the `size` to look for is the paper's.
    """
    text = (
        f"{name.replace('top', 'top-')} error: {_less(value.mean)}, 95 % interval {_less(value.low)} to "
        f"{_less(value.high)}, over {value.pictures:,} pictures{_seeds(len(value.each))}: {value.verdict}."
    )
    if value.verdict != NOT_SEEN:
        return text
    size = f"the paper's {value.size * 100:.1f} points" if is_papers else f"{value.size * 100:.1f} point"
    if value.high < value.size:
        return f"{text} So much as {size} is not there: it lies outside."
    if value.pictures_needed <= value.pictures and (value.seeds_needed or 1) <= max(1, len(value.each)):
        return f"{text} The experiment is large enough for {size}, and came out between it and none."
    needed = [f"{value.seeds_needed:,} seeds"] if value.seeds_needed else []
    if value.pictures_needed > value.pictures or not needed:
        needed.append(f"{value.pictures_needed:,} pictures")
    return f"{text} To see {size} takes about {' and '.join(needed)}."


def unlearned(worst: float, naive: float) -> str:
    """Returns that a network, which errs on `worst`, has not learned enough: the largest class errs on `naive`."""
    return (
        f"{NOT_SEEN}: a network errs on {worst:.1%} of the pictures, always naming the largest class on {naive:.1%}. "
        "It has not learned enough for its differences to mean anything; take a larger budget."
    )


def race(value: Ratio, limit: float, level: float, papers: float) -> str:
    """Returns which arm learns faster to a training error of `level`, in races of at most `limit` epochs."""
    (fast, slow), goal = value.epochs, f"{level:.0%} training error"
    after = {
        arm: f"after {' and '.join(f'{n:.1f}' for n in each if n is not None)}" for arm, each in value.epochs.items()
    }
    if value.ratio is None:
        end = f", {slow} {after[slow]}." if value.verdict == OPPOSITE else ": the budget is too small."
        return f"{fast} did not reach {goal} within {limit:g} epochs{end}"
    others = f"not within {limit:g}" if value.is_at_least else after[slow]
    count = len(value.epochs[fast])
    seeds = f"{count} seeds" if count > 1 else "one seed"
    low, high = value.ratio_interval or (None, None)
    sure = f", {seeds}" if low is None else f" (95 % interval {low:.1f} to {high:.1f}, {seeds})"
    return (
        f"{fast} reached {goal} {after[fast]} epochs, {slow} {others}: "
        f"{'at least ' * value.is_at_least}{value.ratio:.1f} times as fast (paper: {papers:g}): {value.verdict}{sure}."
    )


def _seeds(count: int) -> str:
    return f" and {count} seeds" if count > 1 else ", one seed" if count else ""


def _less(fraction: float) -> str:
    return f"{abs(fraction) * 100:.1f} points {'less' if fraction >= 0 else 'more'}"
