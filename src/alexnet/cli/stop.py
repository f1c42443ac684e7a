"""Ctrl-C as a request."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def polite_stop(team: Any) -> Iterator[threading.Event]:
    """Turns the first Ctrl-C or SIGTERM into a request to save and stop; a second one interrupts at once.

    Not in a team: there torchrun passes on what the terminal has sent already, and ends by force what does not stop.
    """
    stop = threading.Event()

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            if team.everyone.count == 1:
                raise KeyboardInterrupt
            return
        stop.set()
        if team.is_first:
            print("\nalexnet: saving, then stopping (again to stop at once)", file=sys.stderr)

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
