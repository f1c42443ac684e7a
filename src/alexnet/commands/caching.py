"""The command that shows and clears the cache."""

from collections.abc import Sequence
from typing import Annotated, Literal

from alexnet.commands.arguments import About, documented
from alexnet.errors import UsageError
from alexnet.records import CacheContent

ALL = "clear everything that no program is using"


@documented
def cache(
    action: Annotated[Literal["list", "clear"], About(None, "list what lies in the cache, or clear some or all of it")],
    names: Annotated[Sequence[str], About("NAME", "what to clear, by the names that are listed")] = (),
    *,
    all: Annotated[bool, About(None, ALL)] = False,
) -> CacheContent:
    """Lists or clears the cache, $ALEXNET_CACHE or else ~/.cache/alexnet: what was packed, scanned or fetched.

    What is cleared is made again when it is needed. A store that another program packs or reads stays.

    Raises:
        UsageError: Nothing is named, or something that is not there; or the cache cannot be written.
    """
    from alexnet import files
    from alexnet.data import cached

    if action == "list" and (names or all):
        raise UsageError("list takes neither names nor `all`; alexnet cache clear does")
    if action == "clear" and bool(names) == all:
        raise UsageError("clear takes either names or `all`; alexnet cache list shows the names")
    removed, in_use = cached.clear(None if all else names) if action == "clear" else ([], [])
    return CacheContent(
        folder=str(files.cache()), entries=cached.content(), removed=tuple(removed), in_use=tuple(in_use)
    )
