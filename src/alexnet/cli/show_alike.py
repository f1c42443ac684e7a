"""What the commands that look for like pictures return, as text for a terminal."""

from alexnet.commands import results
from alexnet.pages.markup import duration


def indexed(result: results.Indexed) -> list[str]:
    """Returns what an index holds, and what was added."""
    lines = [f"{result.index}: {result.pictures:,} pictures by {result.layer}, {result.bytes / 1e6:,.1f} MB"]
    lines.append(f"added {result.added:,} in {duration(result.seconds)}")
    if not result.complete:
        lines.append("stopped and saved; the same command goes on")
    return [*lines, *results.left_out(result.quarantine)]


def searched(result: results.Searched) -> list[str]:
    """Returns each picture, and under it its neighbours with their distances."""
    lines = [f"{bad.image}: {bad.error}" for bad in result.unread]
    for query in result.queries:
        lines.append(query.image)
        lines += [f"  {near.distance:8.2f}  {near.words or near.class_name}  {near.path}" for near in query.neighbours]
    return [*lines, *([f"page: {result.page}"] if result.page else [])]
