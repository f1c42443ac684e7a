"""Toy rows like Caffe's and torchvision's, and a function that converts bytes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.foreign.convert import convert
from alexnet.models.variants import VARIANTS

sys.path.insert(0, str(Path(__file__).parent))

from foreign import CHANNELS, HIDDEN


@pytest.fixture
def toys(monkeypatch):
    """Rows `toy-caffenet`, `toy-caffe-alexnet`, `toy-torchvision` and `toy-as-run`: the networks with few channels."""
    rows = {"caffenet": "caffenet", "caffe-alexnet": "caffe-alexnet", "torchvision": "one-weird-trick"}
    for name, row in {**rows, "as-run": "alexnet-as-run"}.items():
        monkeypatch.setitem(VARIANTS, f"toy-{name}", replace(VARIANTS[row], channels=CHANNELS, hidden=HIDDEN))


@pytest.fixture
def turn(tmp_path):
    """A function that writes bytes to a file and converts it; returns the run's description."""

    def do(data, name="weights", **options):
        (tmp_path / name).write_bytes(data)
        return convert(tmp_path / name, tmp_path / "run", **options)

    return do
