"""Groups of duplicates, as an audit finds them, of which each lies on one side of a split as a whole."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from alexnet.data.excluding import PATH, columns
from alexnet.data.listing import Digests, Listing
from alexnet.errors import UsageError

GROUP = "group"
"""The column of a table that says which paths belong together."""

Groups = Sequence[Sequence[str]]


def groups_in(table: Path) -> Iterator[tuple[str, ...]]:
    """Yields the groups of paths that a CSV file lists.

    Raises:
        UsageError: There is no such file, it has no such columns, or it is no CSV in UTF-8.
    """
    if not table.is_file():
        raise UsageError(f"there is no table {table} of groups: give the groups.csv that alexnet audit writes")
    rows = sorted(columns(table, GROUP, PATH))
    for _, of_group in groupby(rows, lambda row: row[0]):
        yield tuple(path for _, path in of_group)


def joined(digests: Digests, whole: Listing, groups: Groups) -> Digests:
    """Returns digests in which each picture of a group, and each copy of one, has the smallest that is known of them.

    Args:
        digests: What the pictures of `whole` are known by, (N,), in its order.
        whole: The pictures.
        groups: Paths of pictures that belong together; those of other pictures are passed over.

    Raises:
        UsageError: None of the pictures is in a group.
    """
    group_of = {path: number for number, group in enumerate(groups) for path in group}
    members: dict[int, set[int]] = {}
    for i, digest in enumerate(digests.tolist()):
        if digest and (number := group_of.get(whole.name(i))) is not None:
            members.setdefault(number, set()).add(digest)
    if not members:
        raise UsageError(
            "no picture is in a group of `split_by_duplicates`: give the table that an audit of them wrote"
        )
    smallest: dict[int, int] = {}
    for of_group in members.values():
        together = {_root(smallest, digest) for digest in of_group}
        smallest |= dict.fromkeys(together, min(together))
    return np.array([_root(smallest, digest) for digest in digests.tolist()], np.uint64)


def _root(smallest: dict[int, int], digest: int) -> int:
    while (smaller := smallest.get(digest, digest)) != digest:
        digest = smaller
    return digest
