"""What the fuzzer found, by reader: it is read, or refused in one line."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fuzz

from alexnet.models.variants import VARIANTS

SEEDS = sorted((Path(__file__).parent / "seeds").glob("*/*"))


@pytest.fixture(autouse=True)
def _rows(monkeypatch):
    for name, row in fuzz.rows().items():
        monkeypatch.setitem(VARIANTS, name, row)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_is_mended(seed):
    fuzz.read_or_refuse(seed.parent.name, seed.read_bytes())


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_every_reader_has_something_to_start_from(reader):
    for data in fuzz.starts(reader):
        fuzz.read_or_refuse(reader, data)
