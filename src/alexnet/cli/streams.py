"""Standard streams that may have nobody at the other end: a terminal that was closed, a pipe into `head`."""

import io
import os
import sys


class _Unheard(io.FileIO):
    """A stream for messages; what cannot be written, for whatever reason, counts as written."""

    def write(self, data: "io.ReadableBuffer", /) -> int:  # type: ignore[name-defined]
        """Writes what the system takes; returns the number of bytes given."""
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def prepare() -> None:
    """Makes messages end nothing, opens streams that were closed, and shows "?" for what a terminal cannot show.

    A closed stream's number would go to the first file opened, into which a library's messages would then be written.
    Streams that a program has replaced, such as a notebook's, stay as they are.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdout is None:
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    if sys.stderr is sys.__stderr__:
        encoding = sys.stderr.encoding if sys.stderr else "utf-8"
        # Unbuffered, because a signal's handler may write in the midst of another message.
        sys.stderr = io.TextIOWrapper(_Unheard(2, "w", closefd=False), encoding, write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def abandon_output() -> None:
    """Sends what is left for standard output nowhere, after its reader has gone; else flushing it at exit fails."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
