"""The `alexnet` command: reads what a shell gave, calls the function of that name, prints what it returns.

Nothing heavy is imported before a command runs, so that `alexnet --help` answers at once.
"""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import NoReturn

from alexnet import config
from alexnet.cli import streams
from alexnet.cli.parser import in_flags, parser
from alexnet.commands import COMMANDS
from alexnet.errors import AlexNetError, UsageError, printable
from alexnet.progress import Display
from alexnet.records import Prediction


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command.

    Exit codes: 0 done; 1 an audit found something; 2 a mistake a person can mend, said in one line; 130 interrupted.
    Work that a signal stopped after it was saved ends with 128 and the signal's number: 130 after Ctrl-C, 143 after
    SIGTERM, 129 after SIGHUP.
    """
    streams.prepare()
    logging.basicConfig(format="alexnet: %(message)s", level=logging.WARNING)
    try:
        with _interruptions():
            given = vars(parser().parse_args(arguments))
            name, is_json = given.pop("command"), given.pop("json")
            command = COMMANDS[name]
            _check_folder()
            given |= config.assignments(given.pop("settings", []))
            with _Terminal(is_json) as display:
                observed = {"observer": display} if "observer" in command.__annotations__ else {}
                result = command(**given, **observed)
            _print(name, result, is_json)
            if display.signal and not getattr(result, "complete", True):
                sys.exit(128 + display.signal)
            if code := getattr(result, "exit_code", 0):
                sys.exit(code)
    except AlexNetError as error:
        _exit(in_flags(str(error), command), 2)
    except KeyboardInterrupt:
        _exit("interrupted", 130)
    except BrokenPipeError:  # whoever read the output has enough
        streams.abandon_output()
    except OSError as error:  # A path that somebody pasted may be as long as it likes.
        place = f"{str(error.filename)[:200]}: " if error.filename is not None else ""
        _exit(printable(f"{place}{error.strerror or error}"), 2)


def _check_folder() -> None:
    """Refuses to work from a folder that was deleted, where torch's libraries end the program as they are loaded."""
    try:
        os.getcwd()  # noqa: PTH109  # the question itself, without a path around it
    except FileNotFoundError as error:
        raise UsageError("the current folder no longer exists: cd to another") from error


@contextmanager
def _interruptions() -> Iterator[None]:
    """Lets Ctrl-C be a KeyboardInterrupt whatever it interrupts; numpy's import makes an ImportError of it."""
    heard: list[int] = []

    def interrupt(number: int, frame: object) -> None:
        heard.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler or current_thread() is not main_thread():
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception:
        if heard:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Terminal(Display):
    """Shows pictures as soon as they are named, unless one JSON object at the end tells of them."""

    def __init__(self, is_json: bool) -> None:
        super().__init__()
        self.is_json = is_json

    def predicted(self, prediction: Prediction) -> None:
        """Prints names and bars."""
        if not self.is_json:
            from alexnet.cli import show

            show.show(show.prediction(prediction))


def _print(name: str, result: object, is_json: bool) -> None:
    """Prints what a command returned; of a team only the first process does."""
    from alexnet import records
    from alexnet.cli import show

    if os.environ.get("RANK", "0") == "0":
        if is_json:
            show.show((result.to_json() if hasattr(result, "to_json") else records.to_json(result)).split("\n"))
        elif lines := show.TEXTS[name](result):
            show.show(lines)
    if problem := getattr(result, "problem", None):
        raise UsageError(problem)


def _exit(message: str, code: int) -> NoReturn:
    if message:  # a process of a team has none where another one says what is wrong
        print(f"alexnet: {message}", file=sys.stderr)
    sys.exit(code)
