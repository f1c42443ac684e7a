"""Whoever wants to know how a training goes."""

from typing import Any


class Observer:
    """Is told how the training goes; does nothing with it."""

    def began(self, what: str) -> None:
        """A part of a work of several trainings began."""

    def stepped(self, step: int, total: int, loss: float, images_per_s: float) -> None:
        """A step was made."""

    def evaluated(self, epoch: float, summary: dict[str, Any]) -> None:
        """The validation split was measured."""

    def notice(self, text: str) -> None:
        """Something a person should know."""
