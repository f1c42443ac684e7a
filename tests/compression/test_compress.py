"""From a trained run to a small file, through the command line, interrupted or not."""

import copy
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from damage import unsealed
from msgspec import structs

import alexnet
from alexnet.compression import table
from alexnet.compression.compress import Plan, compress
from alexnet.compression.prune import KEPT, weights_of
from alexnet.compression.table import Table
from alexnet.errors import CheckpointError, UsageError
from alexnet.evaluation.evaluate import evaluate
from alexnet.observer import Observer
from alexnet.weights import checkpoint, compressed

PLAN = Plan(keep=0.1, epochs=0.7)  # 4 steps, then 2
STEPS = ["trained", "pruned", "pruned, retrained", "shared", "shared, retrained", "Huffman"]


class Stopper(Observer):
    """Stops after every step."""

    def should_stop(self):
        return True


@pytest.fixture(scope="module")
def result(run, store, tmp_path_factory):
    """The table and the file."""
    out = tmp_path_factory.mktemp("small") / "toy.compressed"
    return compress(run / "model.safetensors", store, out, PLAN), out


def test_the_table_tells_size_and_errors_of_every_step(result, run):
    table, out = result
    assert [row.step for row in table] == STEPS
    sizes = [row.bytes for row in table]
    parameters = sum(p.numel() for p in alexnet.load(run).model.parameters())
    assert sizes[0] == 4 * parameters
    assert sizes[0] > sizes[1] == sizes[2] > sizes[3] == sizes[4]
    assert all(0 <= row.top5_error <= row.top1_error <= 1 and row.n == 9 for row in table)
    assert compressed.read_header(out).compression.table == table
    assert [entry.name for entry in out.parent.iterdir()] == [out.name]


def test_sizes_are_counted_as_the_paper_counts_them():
    """A weight takes 32 bits or its place in the codebook, a gap 8, a bias 32: five weights, six gaps, two biases."""
    weights = torch.zeros(4, 100)
    weights.view(-1)[torch.tensor([0, 1, 2, 3, 390])] = torch.tensor([1.0, 2.0, 3.0, 3.0, 1.0])
    model = SimpleNamespace(state_dict=lambda: {"fc.weight": weights, "fc.bias": torch.ones(2)})
    assert table.pruned_bytes(model) == 5 * 4 + 6 + 2 * 4
    assert table.shared_bytes(model) == 2 + 6 + 3 * 4 + 2 * 4  # 5 codes of 2 bits take 10 bits; 3 values


def test_sizes_are_those_of_the_files_that_are_compared(result, run):
    rows, out = {row.step: row for row in result[0]}, result[1]
    parameters = sum(p.numel() for p in alexnet.load(run).model.parameters())
    assert rows["trained"].bytes == 4 * parameters
    assert rows["Huffman"].bytes == pytest.approx(out.stat().st_size, abs=2000)  # which has the table in its header
    assert rows["pruned"].bytes > 0.1 * 4 * parameters
    for row in rows.values():
        assert row.ratio == pytest.approx(4 * parameters / row.bytes)


def test_the_file_holds_what_was_asked_for(result):
    for name, weights in weights_of(compressed.load(result[1]).model).items():
        kept = weights[weights != 0]
        assert len(kept) == round(KEPT.get(name, 0.1) * weights.numel())
        assert len(kept.unique()) <= (256 if name.startswith("conv") else 32)


def test_the_file_answers_nearly_as_the_run_does(result, run, store):
    pictures = np.stack([store.splits["val"].read(i) for i in range(5)])
    small, large = alexnet.load(result[1], numbers="float32"), alexnet.load(run, numbers="float32")
    found = small.probabilities(pictures)
    assert 1e-6 < abs(found - large.probabilities(pictures)).max() < 0.3
    assert small.classes == large.classes
    assert small.header.train == large.header.train


def test_stopped_in_either_training_it_goes_on_to_the_same_file(result, run, store, tmp_path):
    """Stopped after every single step of training, and called again each time."""
    out = tmp_path / "toy.compressed"
    calls = 0
    while (table := compress(run / "model.safetensors", store, out, PLAN, Stopper())) is None:
        calls += 1
        assert not out.exists()
    assert calls == 4  # 3 steps of 4, and 1 of 2; each training's last step ends it
    assert table == result[0]
    assert out.read_bytes() == result[1].read_bytes()


def test_a_finished_file_is_only_read_again(result, run, store):
    table, out = result
    before = out.stat().st_mtime_ns
    assert compress(run / "model.safetensors", store, out, PLAN) == table
    assert out.stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="other weights, with other data or settings"):
        compress(run / "model.safetensors", store, out, replace(PLAN, keep=0.2))


def test_work_of_another_request_is_not_continued(run, store, tmp_path):
    out = tmp_path / "toy.compressed"
    with pytest.raises(UsageError, match="no split 'exam'"):  # which leaves nothing to continue
        compress(run / "model.safetensors", store, out, replace(PLAN, split="exam"))
    assert compress(run / "model.safetensors", store, out, PLAN, Stopper()) is None
    with pytest.raises(UsageError, match="was begun with other weights, data or settings"):
        compress(run / "model.safetensors", store, out, replace(PLAN, keep=0.2))


@pytest.mark.parametrize("name", ["table.json", "request.json"])
@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "3", '{"step": 1}', "[{}]", "[[]]", "\xff", None])
def test_a_damaged_work_folder_is_one_line(run, store, begun, tmp_path, name, text):
    out = tmp_path / "toy.compressed"
    work = shutil.copytree(begun, tmp_path / "toy.compressed.work")
    if text is None and name == "table.json":
        text = (work / name).read_text().replace('"n": 9', '"n": 9.5')
    (work / name).unlink()
    if text is not None:
        (work / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"is incomplete or damaged .*: delete .* to begin anew") as caught:
        compress(run / "model.safetensors", store, out, PLAN)
    assert "\n" not in str(caught.value)
    assert str(work / name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "change"), [("table.json", ('"n": 9', '"n": 8')), ("request.json", ('"keep": 0.', '"keep": 0.0'))]
)
def test_a_work_folder_that_a_hand_has_changed_is_one_line(run, store, begun, tmp_path, name, change):
    file = shutil.copytree(begun, tmp_path / "toy.compressed.work") / name
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    with pytest.raises(CheckpointError, match=r"its seal does not match, .*: delete .* to begin anew$"):
        compress(run / "model.safetensors", store, tmp_path / "toy.compressed", PLAN)


def test_the_table_of_a_work_folder_of_version_0_1_is_read(run, store, begun, tmp_path):
    work = shutil.copytree(begun, tmp_path / "work")
    rows = unsealed((work / "table.json").read_text())["rows"]
    assert [row["step"] for row in rows] == ["trained", "pruned"]
    (work / "table.json").write_text(json.dumps(rows))
    model = checkpoint.load(run / "model.safetensors").model
    assert [row.step for row in Table(work, store, "val", model).rows] == ["trained", "pruned"]


@pytest.fixture(scope="module")
def begun(run, store, tmp_path_factory):
    """A work folder after one step of the first training."""
    out = tmp_path_factory.mktemp("begun") / "toy.compressed"
    assert compress(run / "model.safetensors", store, out, PLAN, Stopper()) is None
    return out.with_name("toy.compressed.work")


@pytest.mark.parametrize("table", [3, [3], [{"step": "trained"}], {}])
def test_a_finished_file_with_a_damaged_table_is_one_line(result, run, store, tmp_path, table):
    data = result[1].read_bytes()
    end = 12 + int.from_bytes(data[8:12], "little")
    header = unsealed(data[12:end])
    header["compression"]["table"] = table
    text = json.dumps(header).encode()
    (tmp_path / "toy.compressed").write_bytes(data[:8] + len(text).to_bytes(4, "little") + text + data[end:])
    with pytest.raises(CheckpointError, match=r"is incomplete or damaged .* at `\$\.compression\.table"):
        compress(run / "model.safetensors", store, tmp_path / "toy.compressed", PLAN)


def test_a_crash_leaves_no_file_and_loses_no_finished_step(run, store, tmp_path):
    class Crash(Observer):
        def began(self, what):
            if what == "coding":
                raise MemoryError

    out = tmp_path / "toy.compressed"
    with pytest.raises(MemoryError):
        compress(run / "model.safetensors", store, out, PLAN, Crash())
    assert not out.exists()
    trained = []

    class Watch(Observer):
        def stepped(self, *progress):
            trained.append(progress)

    assert compress(run / "model.safetensors", store, out, PLAN, Watch())
    assert not trained


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"keep": 1.1}, {"epochs": 0}, {"keep": float("nan")}])
def test_a_plan_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError, match="lie"):
        replace(PLAN, **wrong)


# the command


def test_the_command_makes_a_run_that_predict_and_evaluate_read(run, pictures, tmp_path, alexnet):
    mine = shutil.copytree(run, tmp_path / "mine")
    ask = ("compress", mine, "--keep", 0.1, "--epochs", 0.3)
    code, out, err = alexnet(*ask, "--json")
    assert code == 0, err
    told = json.loads(out)
    small = tmp_path / "mine-compressed"
    assert told["file"] == str(small / compressed.NAME)
    assert told["bytes"] == (small / compressed.NAME).stat().st_size
    assert told["complete"]
    manifest = json.loads((small / "manifest.json").read_text())
    assert manifest["weights"]["bytes"] == told["bytes"]
    assert manifest["compression"]["table"] == told["table"]
    assert [row["step"] for row in told["table"]] == STEPS
    code, out, _ = alexnet("evaluate", small, "--json")
    measured = json.loads(out)
    assert {name: measured[name] for name in ("top1_error", "top5_error", "n")} == {
        name: told["table"][-1][name] for name in ("top1_error", "top5_error", "n")
    }
    code, out, _ = alexnet("predict", told["file"], pictures / "val" / "red", "--json")
    assert code == 0
    assert len(json.loads(out)["images"]) == 2
    code, out, _ = alexnet(*ask)
    assert code == 0
    assert "shared, retrained" in out
    assert "9 pictures of val" in out
    assert "top-5" not in out  # of three classes


def test_the_command_takes_pictures_as_the_network_does(run, tmp_path, monkeypatch, alexnet):
    trained, asked = checkpoint.load(run / "model.safetensors"), []

    def open_data(source, *, size, square, on_bad_image, **rest):
        asked.append((source, on_bad_image, size, square))
        raise UsageError("that is all")

    warped = structs.replace(trained.header.preprocessing, square="warp")
    header = structs.replace(trained.header, preprocessing=warped)
    checkpoint.save(tmp_path / "warped.safetensors", trained.model, trained.mean, header)
    monkeypatch.setattr("alexnet.data.open.open_data", open_data)
    alexnet("compress", tmp_path / "warped.safetensors", "--data", "anything")
    assert asked == [("anything", "skip", 76, "warp")]


def test_what_cannot_be_compressed_is_one_line(result, run, tmp_path, alexnet):
    for arguments, told in (
        ((result[1],), "is compressed already"),
        ((tmp_path / "nothing",), "no trained network at"),
        ((run, "--keep", 2), "the fraction of weights to keep"),
        ((run, "--split", "exam"), "no split 'exam'"),
    ):
        code, _, err = alexnet("compress", *arguments, "--out", tmp_path / "out.compressed")
        assert code == 2, err
        assert told in err
        assert err.count("\n") == 1
        assert not (tmp_path / "out.compressed").exists()


def test_a_second_program_is_kept_out(run, store, tmp_path):
    weights, out = run / "model.safetensors", tmp_path / "small.compressed"
    told = []

    class Intruder(Observer):
        def began(self, what):
            with pytest.raises(UsageError, match="is being worked in by another program"):
                compress(weights, store, out, PLAN)
            told.append(what)

    assert compress(weights, store, out, PLAN, Intruder())
    assert told


def test_a_second_program_does_not_take_over_the_work_of_the_first(run, store, tmp_path, monkeypatch):
    weights, out = run / "model.safetensors", tmp_path / "small.compressed"

    def intrude(*asked):
        with pytest.raises(UsageError, match="is being worked in by another program"):
            compress(weights, store, out, replace(PLAN, keep=0.2))
        return evaluate(*asked)

    monkeypatch.setattr("alexnet.compression.table.evaluate", intrude)
    assert compress(weights, store, out, PLAN, Stopper()) is None
    assert compress(weights, store, out, PLAN, Stopper()) is None


def test_classes_in_another_order_are_called_so(run, store, tmp_path):
    turned = copy.copy(store)
    turned.classes = store.classes[::-1]
    with pytest.raises(UsageError, match="knows the classes in another order than"):
        compress(run / "model.safetensors", turned, tmp_path / "small.compressed", PLAN)


def test_a_run_folder_is_no_place_for_a_compressed_file(run, store):
    with pytest.raises(UsageError, match="holds a run"):
        compress(run / "model.safetensors", store, run / "model.compressed", PLAN)
