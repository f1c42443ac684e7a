"""The manifest beside a run's weights."""

import hashlib
import json
import shutil

import pytest
from damage import unsealed
from msgspec import structs

from alexnet.errors import CheckpointError
from alexnet.evaluation.classifier import load
from alexnet.records import Dataset
from alexnet.weights import checkpoint, manifest


def read(folder):
    return unsealed((folder / "manifest.json").read_text(encoding="utf-8"))


def test_a_trained_run_says_what_it_is_and_how_it_was_measured(run, store, settings):
    told, data = read(run), (run / "model.safetensors").read_bytes()
    assert told.pop("weights") == {
        "file": "model.safetensors",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert told == json.loads(checkpoint.load(run / "model.safetensors").header.to_json())
    assert (told["variant"], told["recipe"], told["classes"]) == ("toy", settings.recipe, ["blue", "green", "red"])
    assert told["network"]["input_size"] == 67
    assert told["data"]["hash"] == store.content_hash
    assert told["metrics"].keys() == {"top1_error", "top5_error", "loss", "n", "views", "split"}
    assert {"alexnet", "torch"} <= told["versions"].keys()
    assert len(told["probe"]["logits"]) == 2


def test_a_crash_leaves_none_rather_than_that_of_other_weights(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ZeroDivisionError), manifest.renewed(tmp_path / "model.safetensors"):
        raise ZeroDivisionError
    assert not (tmp_path / "manifest.json").exists()


def test_names_that_are_no_text_are_written(run, tmp_path):
    loaded = checkpoint.load(run / "model.safetensors")
    header = structs.replace(loaded.header, data=Dataset(source="pictures-\udcff", name="größer"))
    with manifest.renewed(tmp_path / "model.safetensors"):
        checkpoint.save(tmp_path / "model.safetensors", loaded.model, loaded.mean, header)
    assert read(tmp_path)["data"] == {"source": "pictures-\udcff", "name": "größer"}


@pytest.mark.parametrize("entry", ["sha256", "bytes"])
def test_weights_that_are_not_those_of_the_manifest_are_refused(run, tmp_path, entry):
    folder = shutil.copytree(run, tmp_path / "run")
    load(folder)
    told = read(folder)
    told["weights"][entry] = {"sha256": "0" * 64, "bytes": 1}[entry]
    (folder / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(CheckpointError, match=r"has not the length and SHA-256 that its manifest\.json says"):
        load(folder)


def test_the_manifest_of_another_file_or_program_says_nothing(run, tmp_path):
    folder = shutil.copytree(run, tmp_path / "run")
    for text in ("{}", json.dumps({"weights": {"file": "other.bin", "bytes": 1, "sha256": "0"}})):
        (folder / "manifest.json").write_text(text)
        assert load(folder).header.variant == "toy"
