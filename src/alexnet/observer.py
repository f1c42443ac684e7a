"""Whoever wants to know how a long piece of work goes, and may stop it."""

from alexnet.records import Evaluation, Prediction


class Observer:
    """Follows a piece of work; this one ignores everything and never stops it.

    Packing, training, evaluation, compression and claims all call the same methods, each those that it has a use for.
    """

    def began(self, what: str, unit: str = "pictures") -> None:
        """A part of the work began, such as "packing" or "training again, pruned"; `unit` is what it counts."""

    def advanced(self, done: int, total: int) -> None:
        """`done` of `total` units of the present part are finished."""

    def scanned(self, files: int) -> None:
        """So many files of a source have been looked at, before any is packed."""

    def stepped(self, step: int, total: int, loss: float, images_per_s: float) -> None:
        """Training made update `step` of `total`; `loss` is the batch's mean before it, in nats."""

    def evaluated(self, epoch: float, evaluation: Evaluation) -> None:
        """The validation split was measured after `epoch` passes over the training pictures."""

    def predicted(self, prediction: Prediction) -> None:
        """What is on a picture is known."""

    def notice(self, text: str) -> None:
        """A person should know this sentence."""

    def should_stop(self) -> bool:
        """Asked after every step; True saves the work and ends it early."""
        return False
