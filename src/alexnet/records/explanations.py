"""Where a network looks, and whether what shows it can be trusted."""

from alexnet.records.record import Finite, Fraction, Record

ALIKE = 0.5
"""Mean rank correlation above which the maps of shuffled networks are too much like that of the trained one."""


class Change(Record, frozen=True, kw_only=True):
    """How much of a map is left once the weights from the top down to `layer` are shuffled."""

    layer: str
    rank_correlation: Finite  # Spearman's, of the two maps
    ssim: Finite  # structural similarity of the two maps, each scaled to 0..1


class Deletion(Record, frozen=True, kw_only=True):
    """The mean probability of the class while the picture is deleted, the most important pixels of a map first.

    The lower, the better the map; beside it those of pixels in random order, and of the middle first.
    """

    own: Fraction
    random: Fraction
    centred: Fraction


class Checks(Record, frozen=True, kw_only=True):
    """The checks of a map: layer after layer from the top, and the deletion."""

    changes: tuple[Change, ...]
    deletion: Deletion

    @property
    def rank_correlation(self) -> float:
        """The mean rank correlation with the maps of the shuffled networks."""
        return sum(change.rank_correlation for change in self.changes) / len(self.changes)

    @property
    def failure(self) -> str | None:
        """Why the map is not to be trusted; None where it passes."""
        if self.rank_correlation > ALIKE:
            return "it hardly changes when weights are shuffled, so it shows the picture and not the network"
        if self.deletion.own >= self.deletion.random:
            return "deleting what it marks costs the class no more than deleting pixels at random"
        return None


class Explanation(Record, frozen=True, kw_only=True):
    """Where on a picture a network finds a class, by one method, and whether the map passes its checks."""

    image: str
    class_name: str
    words: str | None = None  # for one of ImageNet's classes
    probability: Fraction  # of the class
    method: str
    checks: Checks
    failure: str | None  # why the map is not to be trusted
    map: str | None = None  # file of the picture with the map over it
