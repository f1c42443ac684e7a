"""What can go wrong, by whose hand.

Every message is one line: what is wrong, the value at fault, and the remedy. The command line prints it and exits
with 2, as it does with what the system refuses (`OSError`); anything else is a bug and shows its traceback.
"""


def printable(text: str) -> str:
    """Returns a text with a space for each character that could move a terminal's cursor or cannot be encoded."""
    return "".join(each if each.isprintable() else " " for each in text)


class AlexNetError(Exception):
    """The root: whatever a user can mend."""

    def __str__(self) -> str:
        """Returns the message in printable characters, whatever names a hostile file has put into it."""
        return printable(super().__str__())


class UsageError(AlexNetError):
    """A request that cannot be met: a wrong name, value or path."""


class DataError(AlexNetError):
    """A source or a store that cannot serve: a missing split, an empty class."""


class BadImage(DataError):
    """A picture that cannot be decoded: where it came from, and what is wrong with it, in a few words."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class CheckpointError(AlexNetError):
    """A run folder or weight file that is damaged or belongs to something else."""


class ExportError(AlexNetError):
    """An exported file whose numbers are not the network's."""


class TrainingError(AlexNetError):
    """A training run that cannot go on: the loss is NaN, the start is dead."""


class TeamError(AlexNetError):
    """Processes that should work together cannot: one did not come, ended, or hangs."""


class SaidElsewhere(TeamError):
    """Another process of the team says what is wrong; this one has no message."""
