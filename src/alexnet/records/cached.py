"""What lies in the cache."""

from typing import Annotated, Literal

from msgspec import Meta

from alexnet.records.record import Record

CachedKind = Literal["store", "remote", "scan", "digests", "weights", "features"]


class Cached(Record, frozen=True, kw_only=True):
    """Something in the cache: a packed store, what remote stores have sent, scans, digests, weights, features."""

    name: str  # its path in the cache
    kind: CachedKind
    bytes: Annotated[int, Meta(ge=0)]
    source: str | None  # what it was made from, where it says so
    last_used: str  # when, as ISO 8601 in UTC; of digests, weights and features, when they were written


class CacheContent(Record, frozen=True, kw_only=True):
    """The cache's folder and what lies in it, and where it was cleared what was removed and what was left in use."""

    folder: str
    entries: tuple[Cached, ...]
    removed: tuple[Cached, ...] = ()
    in_use: tuple[str, ...] = ()

    @property
    def problem(self) -> str | None:
        """What could not be removed, None if all could."""
        return f"in use and left as it is: {', '.join(self.in_use)}" if self.in_use else None
