"""A damaged file is read as it was, or refused in one line; so are files whose facts a hand has changed."""

import shutil

import pytest
from damage import KINDS, harm

from alexnet.data.open import default_split
from alexnet.evaluation.classifier import load
from alexnet.evaluation.evaluate import evaluate
from alexnet.run import Run
from alexnet.weights import checkpoint, compressed

FLIPS = 8


@pytest.fixture(scope="module")
def folder(run, store, tmp_path_factory):
    """A folder as `KINDS` wants it."""
    folder = tmp_path_factory.mktemp("damage")
    shutil.copytree(store.directory, folder / "store")
    shutil.copytree(run, folder / "run")
    classifier = load(run, numbers="float32")
    evaluation, examples = evaluate([classifier], store, default_split(store))
    Run(folder / "run").put(evaluation, examples, evaluation.split)
    loaded = checkpoint.load(Run(run).best)
    for weights in loaded.model.parameters():
        if weights.dim() > 1:
            weights.data.copy_((weights > weights.mean() + weights.std()).float() / weights[0].numel() ** 0.5)
    compressed.save(folder / "run.compressed", loaded.model, loaded.mean, loaded.header)
    return folder


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_as_it_was_or_refused_in_one_line(folder, name):
    kind = KINDS[name]
    verdicts = harm(folder / kind.file, lambda: kind.read(folder), flips=FLIPS)
    assert verdicts["refused"] >= 4
