"""Pictures that a store holds twice: exact copies, and the same picture cropped, mirrored, turned or saved again."""

from alexnet.auditing.cached_features import CachedFeatures
from alexnet.observer import Observer
from alexnet.records import Duplicates


def find(cached: CachedFeatures, observer: Observer | None = None) -> Duplicates:
    """Returns the duplicates of a store; memory does not grow with the number of its pictures."""
    raise NotImplementedError
