"""The command: from a run to a file, compared before it is written; and one clear line for each mistake."""

import importlib.util
import inspect
import json
import shutil
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from msgspec import to_builtins

from alexnet import export, load
from alexnet.data import decode
from alexnet.errors import ExportError, UsageError
from alexnet.evaluation.evaluate import evaluate
from alexnet.exports import export as road
from alexnet.exports.format import Engine, PreprocessingSteps
from alexnet.exports.parity import ExportedNetwork, compare, require, samples
from alexnet.models.create import create
from alexnet.records import Description, Example, Examples, Header, Preprocessing
from alexnet.weights import checkpoint

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

PREPROCESSING = Preprocessing(stored_size=32, divide_pixels_by=1.0)


@pytest.fixture
def mistake(alexnet, run):
    """A function that runs an export that must fail in one line, and gives the line."""

    def ask(*arguments, run=run):
        code, out, err = alexnet("export", run, *arguments)
        assert (code, out, err.count("\n")) == (2, "", 1), err
        return err

    return ask


@pytest.mark.parametrize("options", [(), ("--lrn", "decomposed"), ("--preprocess",)])
def test_the_file_names_pictures_as_the_run_does(alexnet, run, pictures, tmp_path, options):
    out = tmp_path / "toy.onnx"
    code, told, err = alexnet("export", run, "--format", "onnx", "--out", out, "--data", pictures, "--json", *options)
    assert code == 0, err
    facts = json.loads(told)
    assert facts["bytes"] == out.stat().st_size
    assert facts["parity"]["pictures"] == 8
    assert 0 < facts["parity"]["error"] < 1e-4
    assert 0 < facts["parity"]["logit_error"] < 1e-4
    classifier = load(run, numbers="float32")
    stored = classifier.read(sorted((pictures / "val").rglob("*.jpg")))
    session = runtime.InferenceSession(out, providers=["CPUExecutionProvider"])
    given = {"pictures": stored} if "--preprocess" in options else {"images": PreprocessingSteps.of(classifier)(stored)}
    (found,) = session.run(None, given)
    assert np.allclose(found, classifier.probabilities(stored), atol=1e-5)
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == ["blue", "green", "red"]
    assert notes["variant"] == "toy"
    assert json.loads(notes["preprocessing"])["divide_pixels_by"] == 64
    assert "licence" in notes


def test_int8_prints_size_and_errors_before_and_after(alexnet, run, store, tmp_path):
    out = tmp_path / "small.onnx"
    code, told, err = alexnet("export", run, "--format", "onnx", "--int8", "--out", out)
    assert code == 0, err
    assert "9 pictures of val" in told
    code, told, _ = alexnet("export", run, "--format", "onnx", "--int8", "--out", tmp_path / "again.onnx", "--json")
    facts = json.loads(told)["int8"]
    assert facts["after"]["bytes"] == out.stat().st_size
    ours, _ = evaluate([load(run, numbers="float32")], store)
    ours = to_builtins(ours)
    assert {name: ours[name] for name in ("top1_error", "top5_error", "n", "split")} == {
        name: facts["before"][name] for name in ("top1_error", "top5_error", "n", "split")
    }
    assert abs(facts["after"]["top1_error"] - ours["top1_error"]) <= 1 / 9


def test_without_out_the_file_stands_beside_the_run(alexnet, run, tmp_path):
    mine = shutil.copytree(run, tmp_path / "mine")
    code, told, _ = alexnet("export", mine, "--format", "torch-export")
    assert code == 0
    assert (tmp_path / "mine.pt2").is_file()
    assert "torch.export" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "mine.pt2"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # see test_keras.py
def test_a_keras_file_is_compared_too(alexnet, run, tmp_path):
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    code, told, err = alexnet("export", run, "--format", "keras", "--out", tmp_path / "a.keras", "--json")
    assert code == 0, err
    assert json.loads(told)["parity"]["error"] < 1e-4


def test_an_engine_with_other_numbers_is_refused_and_nothing_written(run, tmp_path, monkeypatch):
    classifier = load(run, numbers="float32")
    honest = road.FORMATS["onnx"]

    def wrong(content):
        name, answer = honest.engine(content)
        return Engine(name, lambda images: answer(images) * np.float32(1.001))

    monkeypatch.setitem(road.FORMATS, "onnx", replace(honest, engine=wrong))
    with pytest.raises(ExportError, match="nothing was written: ONNX Runtime"):
        road.export(classifier, road.Plan("onnx"), tmp_path / "a.onnx", samples(run, None))
    assert not list(tmp_path.iterdir())


def test_the_worst_picture_of_eight_counts(run):
    classifier, pictures = load(run, numbers="float32"), samples(run / "nowhere", None)
    ours = classifier.probabilities(np.stack([decode.load(file, "x", 76) for file in pictures.files]))
    close = ours * np.float32([[1]] * 7 + [[1.0004]])  # on the mean of eight this would be off by half of the limit
    whole = iter(ours + np.float32([[0]] * 7 + [[0.02]]))
    engine = Engine("Nearly 1", lambda images: close if len(images) == 8 else next(whole)[None])
    parity = compare(ExportedNetwork(classifier, b"", engine, None), pictures, any_size=True)
    assert (parity.pictures, parity.same_first) == (8, 8)
    assert parity.error == pytest.approx(4e-4, rel=0.01)
    assert parity.whole_difference == pytest.approx(0.02, abs=1e-6)
    with pytest.raises(ExportError, match=r"off by 4\.0e-04 of the output's norm \(limit 0\.0001\)"):
        require(parity)


def exactly(logits):
    """Probabilities of logits, in float32."""
    powers = np.exp(np.float64(logits))
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("theirs", "off"), [([0, -40, -60], 0.0), ([0, -50, -60], 0.189), ([0, -40, -90], 0.476)])
def test_saturated_probabilities_are_compared_by_their_logits(run, monkeypatch, theirs, off):
    """Logits less their mean are (33.3, -6.7, -26.7), norm 43.2; -90 counts as -85.2."""
    classifier, pictures = load(run, numbers="float32"), samples(run / "nowhere", None)
    monkeypatch.setattr(type(classifier), "probabilities", lambda self, images: exactly([[0, -40, -60]] * len(images)))
    engine = Engine("Sure 1", lambda images: exactly([theirs] * len(images)))
    parity = compare(ExportedNetwork(classifier, b"", engine, None), pictures, any_size=False)
    assert parity.error < 1e-15
    assert parity.logit_error == pytest.approx(off, rel=0.01, abs=1e-7)
    if off:
        with pytest.raises(
            ExportError, match=r"Sure 1 gives other numbers than the network, off by .* of the logits' norm"
        ):
            require(parity)
    else:
        require(parity)


def test_numbers_that_are_none_are_refused(run):
    classifier = load(run, numbers="float32")
    engine = Engine("Broken 1", lambda images: np.full((len(images), 3), np.nan, np.float32))
    with pytest.raises(ExportError, match="Broken 1 gives other numbers"):
        require(compare(ExportedNetwork(classifier, b"", engine, None), samples(run, None), any_size=False))


def test_pictures_come_from_the_data_then_the_examples_then_nowhere(pictures, store, tmp_path):
    assert len(samples(tmp_path, str(pictures)).files) == 8
    assert len(samples(tmp_path, str(store.directory)).files) == 8
    assert samples(tmp_path, None).origin == "made-up pictures"
    good = next((pictures / "val" / "red").iterdir()).read_bytes()
    guesses = (("red", 1.0),)
    rows = [Example(name="a.jpg", label="red", top=guesses, jpeg=content) for content in (good, b"damaged", good)]
    (tmp_path / "examples.json").write_text(Examples(sample=rows).to_json())
    assert samples(tmp_path, None).files == [good] * 2
    (tmp_path / "examples.json").write_text("[1]")
    assert samples(tmp_path, None).origin == "made-up pictures"


def test_a_way_to_normalise_that_is_none_is_named():
    with pytest.raises(UsageError, match="no lrn 'papers'; there are native, decomposed"):
        road.Plan("onnx", lrn="papers")


def test_the_command_offers_every_format():
    assert [*road.FORMATS, "huggingface"] == list(get_args(inspect.signature(export).parameters["format"].annotation))


def test_a_hugging_face_folder_is_a_run_with_a_card(alexnet, mistake, run, tmp_path):
    mine, out = shutil.copytree(run, tmp_path / "mine"), tmp_path / "hub"
    assert alexnet("evaluate", mine)[0] == 0
    code, told, err = alexnet("export", mine, "--format", "huggingface", "--out", out, "--json")
    assert code == 0, err
    assert json.loads(told)["bytes"] == sum(path.stat().st_size for path in out.iterdir())
    measured = json.loads((mine / "evaluation.json").read_text())
    assert f"| top-1 error | {measured['top1_error']:.2%} |" in (out / "README.md").read_text()
    assert load(out).classes == load(run).classes
    assert "leave --int8" in mistake("--format", "huggingface", "--int8")
    card = (out / "model.safetensors").read_bytes()
    assert b'"machine"' not in card
    assert str(json.loads((mine / "config.json").read_text())["data"]["source"]).encode() not in card
    (mine / "evaluation.json").write_text("{")
    assert "evaluation.json is incomplete or damaged" in mistake(
        "--format", "huggingface", "--out", tmp_path / "no", run=mine
    )


def test_what_cannot_be_exported_is_one_line(mistake, tmp_path, monkeypatch):
    (tmp_path / "taken.onnx").touch()
    ask = ("--format", "onnx", "--out")
    assert "taken.onnx exists already; choose another place" in mistake(*ask, tmp_path / "taken.onnx")
    assert "there is no folder" in mistake(*ask, tmp_path / "none" / "a.onnx")
    assert "no trained network at" in mistake(*ask, tmp_path / "a.onnx", run=tmp_path)
    assert "perhaps 'onnx'" in mistake("--format", "onx")
    assert "there is no source" in mistake(*ask, tmp_path / "a.onnx", "--data", tmp_path / "nothing")
    assert "int8 is for the formats onnx and browser, not for keras" in mistake("--format", "keras", "--int8")
    assert "runtime is for the format browser, not for onnx" in mistake("--format", "onnx", "--runtime", tmp_path)
    assert "--split is for --int8" in mistake("--format", "onnx", "--split", "val")
    assert "lrn native is for the formats onnx and browser, not for torch-export" in mistake(
        "--format", "torch-export", "--lrn", "native"
    )
    monkeypatch.setitem(road.FORMATS, "onnx", replace(road.FORMATS["onnx"], needs=("a_package_that_is_not_there",)))
    assert "pip install 'alexnet[export]'" in mistake(*ask, tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.onnx"]


@pytest.mark.parametrize("name", ["cifar-80sec", "cifar-11pct"])
def test_networks_for_cifar_go_to_torch_only(name, pictures, tmp_path):
    model = create(name, classes=3).eval()
    with torch.no_grad():
        model.fc5.bias += torch.arange(3.0)
    path = tmp_path / "small.safetensors"
    header = Header.of(Description(classes=("blue", "green", "red"), preprocessing=PREPROCESSING), model.design)
    checkpoint.save(path, model, np.zeros((32, 32, 3), np.float32), header)
    classifier, taken = load(path, numbers="float32"), samples(path, str(pictures))
    with pytest.raises(UsageError, match=f"{name} is no AlexNet: it can only be exported as torch-export"):
        road.export(classifier, road.Plan("onnx"), tmp_path / "small.onnx", taken)
    exported = road.export(classifier, road.Plan("torch-export"), tmp_path / "small.pt2", taken)
    assert exported.parity.error < 1e-4
