from dataclasses import replace

import numpy as np
import pytest
from torch import nn

from alexnet.benches import data, train
from alexnet.data.store import Store


@pytest.fixture(scope="module")
def flat(pictures, tmp_path_factory):
    """A folder of two pictures, without class folders."""
    folder = tmp_path_factory.mktemp("flat")
    for file in sorted(pictures.rglob("*.jpg"))[:2]:
        (folder / file.name.upper()).write_bytes(file.read_bytes())
    return folder


def test_a_flat_folder_becomes_two_classes_repeated(flat, tmp_path):
    made = data.write_folder(tmp_path / "made", data.examples(str(flat)), 6)
    assert len(list((made / "a").iterdir())) == len(list((made / "b").iterdir())) == 3


def test_a_store_and_made_up_photographs_serve_as_well(store):
    assert sum(1 for _ in data.examples(str(store.directory))) == 18
    ending, content = next(data.examples(None))
    assert ending == ".jpg"
    assert 80_000 < len(content) < 140_000


def test_a_grown_store_repeats_the_first_shard(store, tmp_path):
    grown = Store(data.grow(store, tmp_path / "grown", 40)).splits["train"]
    small = store.splits["train"]
    assert len(grown) == 40
    for i in (0, 17, 18, 39):
        assert grown.name(i) == small.name(i % 18)
        assert np.array_equal(grown.read(i), small.read(i % 18))


def test_every_loader_runs(flat, answers, tiny, monkeypatch):
    monkeypatch.setattr("alexnet.benches.data.TWO_TOWER", "toy")
    monkeypatch.setitem(train.PLAIN, "toy", (lambda side: nn.Sequential(nn.Flatten(), nn.Linear(3 * side**2, 2)), 67))
    done = set()

    def play(contestant, size):
        done.add(getattr(contestant.measure, "func", contestant.measure))
        return contestant.measure(size)

    answers(play)
    said = []
    findings = data.bench(replace(tiny, rounds=1), said.append, str(flat))
    assert done == {data.packed, data.raw, data.pil, data.training, data.plain_training}
    assert not [line for line in said if "left out" in line]
    assert all(row.value > 0 for row in findings.rows)
    beside = {row.name: set(row.ratio_to) for row in findings.rows}
    assert beside["data: training from the packed store"] == {"synthetic data", "plain PyTorch from the class folder"}
