import subprocess

import pytest

from alexnet.benches import Size
from alexnet.benches.contest import read_turn
from alexnet.observer import Observer
from alexnet.records import to_json


@pytest.fixture
def tiny():
    return Size(
        rounds=2,
        seconds=0.0,
        map=(1, 8, 6, 6),
        matrices=(16,),
        block=1 << 16,
        input_size=67,
        batch=2,
        predict_batch=2,
        steps=1,
        pictures=12,
        stores=(20, 2000),
    )


@pytest.fixture
def notices():
    """An observer that keeps the lines it is told, as `notices.lines`."""

    class Notices(Observer):
        def __init__(self):
            self.lines = []

        def notice(self, text):
            self.lines.append(text)

    return Notices()


@pytest.fixture
def answers(monkeypatch):
    """A function that replaces contestants' processes: `answers(play)`; play(contestant, size) returns the figures."""

    def replace(play):
        def run(command, environment):
            try:
                figures = play(*read_turn(command[-1]))
            except ImportError as error:
                return subprocess.CompletedProcess(
                    command, 1, b"", f"Traceback\nModuleNotFoundError: {error}\n".encode()
                )
            return subprocess.CompletedProcess(command, 0, to_json(figures), b"noise\n")

        monkeypatch.setattr("alexnet.benches.contest._run", run)

    return replace
