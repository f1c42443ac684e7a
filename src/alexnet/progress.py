"""Progress for people: bars and lines in a terminal or a notebook, and Ctrl-C as a wish to stop."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from alexnet.errors import printable
from alexnet.observer import Observer
from alexnet.records import Evaluation

if TYPE_CHECKING:
    from alexnet.team import Team


class Display(Observer):
    """Shows a bar for what is counted, and a line for each part, evaluation and notice.

    Everything goes to standard error; without a terminal or a notebook there are no bars.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.signal: int | None = None  # the number of the signal that asked to stop
        self._bar: Any = None  # tqdm has no types
        self._what, self._unit, self._is_named = "", "pictures", False  # named: a bar has shown what it is

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def should_stop(self) -> bool:
        """Returns whether the person asked to stop."""
        return self.stop.is_set()

    def began(self, what: str, unit: str = "pictures") -> None:
        """Ends the bar of the part before."""
        self._close()
        self._what, self._unit, self._is_named = what, unit, False

    def advanced(self, done: int, total: int) -> None:
        """Moves the bar of what is counted."""
        self._move(done, total)
        if done >= total:
            self._close()

    def scanned(self, files: int) -> None:
        """Counts up, once that has taken a second."""
        if self._what != "scanning":
            self.began("scanning", "files")
        self._move(files, None, delay=1)

    def stepped(self, step: int, total: int, loss: float, images_per_s: float) -> None:
        """Moves the bar of a training."""
        if self._bar is None:
            if self._what and not self._is_named:
                self.notice(self._what)
            self._bar = _tqdm()(total=total, initial=step, desc="training", unit=" steps", disable=None)
        self._bar.set_postfix_str(f"loss {loss:.3f}, {images_per_s:.0f} images/s", refresh=False)
        self._bar.update(step - self._bar.n)

    def evaluated(self, epoch: float, evaluation: Evaluation) -> None:
        """Prints the errors; five guesses of at most five classes are never wrong."""
        line = f"epoch {epoch:6.2f}   top-1 error {evaluation.top1_error:6.1%}"
        if len(evaluation.classes) > 5:
            line += f"   top-5 error {evaluation.top5_error:6.1%}"
        self.notice(line)

    def notice(self, text: str) -> None:
        """Prints a line above the bar."""
        _tqdm().write(printable(text), file=sys.stderr)

    def _move(self, done: int, total: int | None, delay: float = 0) -> None:
        if self._bar is None:  # What is done already took an unknown time, and is left out of the rate.
            is_bytes = self._unit == "B"
            unit = {"unit": self._unit if is_bytes else f" {self._unit}", "unit_scale": is_bytes}
            about = {"total": total, "initial": done, "desc": self._what, "smoothing": 0.1, "delay": delay}
            self._bar, self._is_named = _tqdm()(disable=None, **about, **unit), True
        self._bar.update(done - self._bar.n)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _tqdm() -> Any:
    """Returns tqdm's bar for where this runs, imported only when there is something to show."""
    from tqdm.auto import tqdm

    return tqdm


@contextmanager
def interruptible(observer: Observer, team: "Team | None" = None) -> Iterator[None]:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a wish to save and stop; a second one interrupts at once.

    SIGHUP comes when a terminal is closed; under `nohup` it stays ignored.

    Args:
        observer: The work asks it whether to stop. Other observers than `Display` handle their own signals.
        team: The processes that work together; None for one alone.
    """
    if not isinstance(observer, Display) or threading.current_thread() is not threading.main_thread():
        yield
        return

    is_alone = team is None or team.everyone.count == 1

    def ask(number: int, frame: object) -> None:
        if not observer.stop.is_set():
            observer.stop.set()
            observer.signal = number if is_alone else None  # torchrun has a code of its own
            if team is None or team.is_first:
                print("\nalexnet: saving, then stopping (again to stop at once)", file=sys.stderr)
        # torchrun sends a team again what the terminal has sent, and itself ends by force what hangs.
        elif is_alone:
            raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # not on Windows
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
