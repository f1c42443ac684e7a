"""What is like a picture."""

from alexnet.records.record import Count, Finite, Record


class Neighbour(Record, frozen=True, kw_only=True):
    """A picture of an index, and how far its vector is from the query's."""

    place: Count  # in the index
    path: str  # of the picture in its source
    class_name: str
    words: str | None = None  # for one of ImageNet's classes
    distance: Finite  # Euclidean
