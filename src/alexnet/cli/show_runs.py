"""Runs side by side, as text for a terminal."""

from typing import TYPE_CHECKING

from alexnet.pages.markup import duration

if TYPE_CHECKING:
    from alexnet.claims.side_by_side import SideBySide


def compared(result: "SideBySide") -> list[str]:
    """Returns the table, the settings that differ, and how each run stands to the first."""
    width = max(len(run.name) for run in result.runs)
    lines = [f"{'run':<{width}}  top-1 error  95 % interval    training        size  started from"]
    for run in result.runs:
        low, high = run.top1_interval
        time = duration(run.seconds) if run.seconds else "-"
        errors = f"{run.top1_error:>11.1%}  {low:>5.1%} to {high:>5.1%}"
        lines.append(f"{run.name:<{width}}  {errors}  {time:>12}  {run.bytes / 1e6:>7.1f} MB  {run.start}")
    if result.settings:
        lines += ["", "what differs", *(f"  {name}: {', '.join(row)}" for name, row in result.settings.items())]
    if any(run.obstacle for run in result.runs):
        lines += ["", "to measure all of them on the same pictures: alexnet compare RUN... --data SOURCE"]
    return [*lines, "", *result.sentences, f"page: {result.page}"]
