"""What a person reads while work goes on."""

import io
import re

import pytest

from alexnet.progress import Display


@pytest.fixture
def display(monkeypatch):
    """A function that opens a display in front of a terminal, and gives both."""

    def show():
        terminal = io.StringIO()
        terminal.isatty = lambda: True
        monkeypatch.setattr("sys.stderr", terminal)
        return Display(), terminal

    return show


def test_what_a_bar_has_named_is_not_said_again_before_the_training(display):
    shown, terminal = display()
    with shown:
        shown.began("features")
        shown.advanced(9, 9)
        shown.stepped(1, 4, 0.5, 100.0)
        assert "features: 100%" in terminal.getvalue()
        assert "features\n" not in terminal.getvalue()
        shown.began("whole, seed 0")
        shown.stepped(1, 4, 0.5, 100.0)
    assert "whole, seed 0\n" in terminal.getvalue()


def test_a_rate_counts_only_what_was_done_while_the_bar_stood(display):
    shown, terminal = display()
    with shown:
        shown.began("evaluating")
        shown.advanced(100_000, 100_000)
        shown.stepped(1, 1, 0.5, 100.0)
    assert "100000/100000" in terminal.getvalue()
    assert not re.search(r"\d (pictures|steps)/s", terminal.getvalue())
