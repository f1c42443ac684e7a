"""What `evaluate` says: which pictures it measured, where the result went, and what it cannot know."""

import json
import shutil

import pytest
from msgspec import structs

from alexnet import run as runs
from alexnet.data.sources import open_source

FLOAT32 = ("--precision", "float32")
SETTINGS = {"variant": "toy", "initialisation": "he", "divide_pixels_by": 64, "batch_size": 4}
TOY = ("--steps", "2", "--input-size", "67", *(f"--set={name}={value}" for name, value in SETTINGS.items()))


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the finished run over `pictures`."""
    return shutil.copytree(run, tmp_path / "copy")


@pytest.fixture
def answer(alexnet):
    """A function that runs a command which must succeed and gives the JSON that it prints."""

    def ask(*arguments):
        code, out, err = alexnet(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return ask


def measured(run, name="evaluation.json"):
    return json.loads((run / name).read_text())


def test_another_split_goes_into_a_file_of_its_own(alexnet, answer, copy):
    assert answer("evaluate", copy, *FLOAT32)["file"] == str(copy / "evaluation.json")
    code, out, err = alexnet("evaluate", copy, "--split", "train", *FLOAT32)
    assert code == 0, err
    assert "18 pictures of train, 1 view; training had 18 of them" in out
    assert f"written to {copy / 'evaluation-train.json'}" in out
    assert (measured(copy)["split"], measured(copy)["n"]) == ("val", 9)
    assert measured(copy, "evaluation-train.json")["n"] == 18
    assert "9 pictures of the split" in (copy / "report.html").read_text().replace("\u2009", "")
    assert answer("evaluate", copy, "--split", "train+val", *FLOAT32)["trained_on"] == 18
    assert measured(copy, "evaluation-train+val.json")["n"] == 27


def test_a_run_measured_on_its_own_data_by_their_name_keeps_the_result(answer, copy, pictures, make_folder, tmp_path):
    moved = shutil.copytree(pictures, tmp_path / "moved")
    for place in (pictures, moved):
        (copy / "evaluation.json").unlink(missing_ok=True)
        assert answer("evaluate", copy, "--data", place, *FLOAT32)["file"] == str(copy / "evaluation.json")
        assert measured(copy)["n"] == 9
    other = make_folder(tmp_path / "other", {"val/red": 2, "val/blue": 2, "train/red": 3, "train/blue": 3})
    assert answer("evaluate", copy, "--data", other, *FLOAT32)["file"] is None


def test_the_result_says_that_training_had_none_of_the_pictures(alexnet, copy):
    code, out, _ = alexnet("evaluate", copy, *FLOAT32)
    assert code == 0
    assert "9 pictures of val, 1 view; training had none of them" in out


def test_training_pictures_in_other_data_are_said_and_left_out(alexnet, answer, copy, pictures, make_folder, tmp_path):
    more = make_folder(tmp_path / "more", {f"{s}/{c}": 4 for s in ("train", "val") for c in ("blue", "green", "red")})
    for i in range(3):
        shutil.copy(pictures / "train" / "red" / f"00{i}.jpg", more / "val" / "red" / f"{i}.jpeg")
    before = sorted(path.name for path in copy.iterdir())
    code, out, err = alexnet("evaluate", copy, "--data", more, *FLOAT32)
    assert code == 0, err
    result = answer("evaluate", copy, "--data", more, *FLOAT32)
    assert result["n"] + result["left_out"] == 15
    assert result["left_out"] == result["trained_on"] >= 3
    assert f"{result['n']} pictures of val, 1 view; {result['left_out']} more are left out, training had them" in out
    assert "not written to a file" in out
    assert result["file"] is None
    assert sorted(path.name for path in copy.iterdir()) == before
    whole = answer("evaluate", copy, "--data", more, "--include-training", *FLOAT32)
    assert (whole["n"], whole["trained_on"], whole["left_out"]) == (15, result["trained_on"], 0)


def test_a_run_that_does_not_know_its_pictures_says_so(alexnet, copy, make_folder, tmp_path):
    (copy / "pictures.npy").unlink()
    more = make_folder(tmp_path / "more", {f"{s}/{c}": 1 for s in ("train", "val") for c in ("blue", "green")})
    code, out, _ = alexnet("evaluate", copy, "--data", more, *FLOAT32)
    assert code == 0
    assert "2 pictures of val, 1 view; whether training had some of them is not known" in out
    assert "classes without pictures: red" in out


@pytest.mark.parametrize("kinds", ["float32", "float32,auto"])
def test_a_run_that_cannot_be_written_gives_one_exit_code(alexnet, copy, kinds):
    (copy / "evaluation.json").mkdir()
    code, out, err = alexnet("evaluate", copy, "--precision", kinds)
    assert code == 2
    assert "top-1 error" in out
    assert "the run keeps what it had" in err
    assert len(err.strip().splitlines()) == 1


def test_a_renamed_class_is_named_with_the_one_that_is_gone(alexnet, copy, make_folder, tmp_path):
    more = make_folder(tmp_path / "more", {f"{s}/{c}": 1 for s in ("train", "val") for c in ("blue", "green", "red")})
    for split in ("train", "val"):
        (more / split / "red").rename(more / split / "crimson")
    code, _, err = alexnet("evaluate", copy, "--data", more)
    assert code == 2
    assert "does not know the class 'crimson'" in err
    assert "the data have no 'red': rename it back if that is the same class" in err


def test_uneven_classes_show_their_balanced_error(alexnet, answer, copy):
    result = answer("evaluate", copy, *FLOAT32)  # of 4, 3 and 2 pictures
    errors = [row["top1_error"] for row in result["per_class"]]
    assert result["balanced_error"] == pytest.approx(sum(errors) / 3)
    _, out, _ = alexnet("evaluate", copy, *FLOAT32)
    assert f"balanced error {result['balanced_error']:.1%}: the mean of the classes' top-1 errors" in out
    assert "Balanced error" in (copy / "report.html").read_text()


def test_a_run_of_version_0_1_has_the_quarter_that_it_had(answer, alexnet, make_folder, tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "flat", {"blue": 12, "green": 9, "red": 10})

    def describe(*arguments):
        description = runs.describe(*arguments)
        return structs.replace(description, data=structs.replace(description.data, draw="names"))

    monkeypatch.setattr(
        "alexnet.data.open.open_source", lambda spec, **rest: open_source(spec, **(rest | {"draw": "names"}))
    )
    monkeypatch.setattr("alexnet.training.start.describe", describe)
    answer("train", "modern", "--data", folder, "--out", tmp_path / "run", *TOY)
    monkeypatch.undo()
    (tmp_path / "run" / "pictures.npy").unlink()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["counts"] == {"train": 24, "val": 7}
    assert "draw" not in config["data"]
    result = answer("evaluate", tmp_path / "run", *FLOAT32)
    assert (result["n"], result["trained_on"]) == (7, 0)
    assert answer("train", "--resume", tmp_path / "run")["complete"]
