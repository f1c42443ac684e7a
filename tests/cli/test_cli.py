"""The command line as a person meets it: the road from pictures to a report, and one clear line for each mistake."""

import errno
import io
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from damage import unsealed
from msgspec import structs
from safetensors.torch import load_file

from alexnet import commands, recipes
from alexnet.cli import show
from alexnet.commands import measuring, work
from alexnet.commands.results import Measured
from alexnet.data.manifest import read_manifest
from alexnet.data.open import from_anywhere
from alexnet.data.sources import open_source
from alexnet.errors import DataError
from alexnet.evaluation.metrics import Tally
from alexnet.records import EVERYTHING, Guess, Prediction
from alexnet.weights import checkpoint

TOY = ["--variant", "toy", "--input-size", "67", "--precision", "float32", "--set", "batch_size=4"]


@pytest.fixture
def answer(alexnet):
    """A function that runs a command with --json and gives the object."""

    def run(*arguments):
        code, out, err = alexnet(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture
def mistake(alexnet):
    """A function that runs a command that must fail in one line, and gives the line.

    Before it may stand, in two lines, what the pictures were understood to be.
    """

    def run(*arguments):
        code, out, err = alexnet(*arguments)
        err = re.sub(r"\Aalexnet: \w+: .*; a folder for each class\nalexnet: \d+ classes; [\w, ]+\n", "", err)
        assert code == 2, (code, out, err)
        assert err.count("\n") == 1, err
        assert err.startswith("alexnet")
        assert "Traceback" not in err
        assert out == ""
        return err

    return run


@pytest.fixture
def trained(run, pictures, tmp_path):
    """A run folder of one's own, whose config names `pictures` as its source."""
    return shutil.copytree(run, tmp_path / "run")


# the road


def test_from_pictures_to_a_report(alexnet, answer, pictures, tmp_path):
    store, run = tmp_path / "store", tmp_path / "run"
    packed = answer("pack", pictures, store, "--size", 76)
    assert packed["counts"] == {"train": 18, "val": 9}
    assert packed["classes"] == ["blue", "green", "red"]
    told = answer("train", "modern", "--data", store, "--out", run, "--steps", 2, "--seed", 3, *TOY)
    assert told["complete"]
    assert told["n"] == 9
    assert {"report.html", "evaluation.json", "examples.json", "model.safetensors"} <= {p.name for p in run.iterdir()}
    measured = answer("evaluate", run, "--views", 10)
    assert {name: measured[name] for name in ("n", "views", "models")} == {"n": 9, "views": 10, "models": 1}
    assert json.loads((run / "evaluation.json").read_text())["views"] == 10
    averaged = answer("evaluate", run, run, "--data", pictures, "--split", "train+val")
    assert (averaged["models"], averaged["n"]) == (2, 27)
    named = answer("predict", run, pictures / "val", pictures / "train" / "red" / "000.jpg", "--top", 2)
    assert len(named["images"]) == 10
    for image in named["images"]:
        probabilities = [row["probability"] for row in image["predictions"]]
        assert len(probabilities) == 2
        assert probabilities == sorted(probabilities, reverse=True)
    (run / "report.html").unlink()
    assert answer("report", run)["report"] == str(run / "report.html")
    assert (run / "report.html").read_text().lower().startswith("<!doctype html>")
    assert answer("train", "--resume", run)["complete"]


def test_the_same_road_in_words(alexnet, pictures, tmp_path):
    run = tmp_path / "run"
    code, out, err = alexnet("train", "modern", "--data", pictures, "--out", run, "--epochs", 0.3, *TOY)
    assert code == 0
    assert "top-1 error" in out
    assert "report.html" in out
    assert "epoch" in err
    assert "top-1 error" in err
    code, out, _ = alexnet("evaluate", run)
    assert code == 0
    assert "9 pictures of val, 1 view" in out
    code, out, _ = alexnet("predict", run, pictures / "val" / "red")
    assert code == 0
    assert out.count(".jpg") == 2
    assert "%" in out
    code, out, _ = alexnet("pack", pictures, tmp_path / "store", "--size", 40)
    assert code == 0
    assert "3 classes; 18 train, 9 val" in out


def test_settings_reach_the_run(answer, pictures, tmp_path):
    run = tmp_path / "run"
    answer("train", "paper", "--data", pictures, "--out", run, "--steps", 1, *TOY, "--set", "colour=none", "--seed", 8)
    settings = json.loads((run / "config.json").read_text())["train"]
    assert (settings["recipe"], settings["colour"], settings["seed"], settings["steps"]) == ("paper", "none", 8, 1)
    assert (settings["variant"], settings["batch_size"], settings["input_size"]) == ("toy", 4, 67)


@pytest.mark.parametrize(
    ("arguments", "parameters", "macs"),
    [
        ((), 62_378_344, 1_135_256_096),
        (("--variant", "alexnet-two-tower"), 60_965_224, 724_406_816),
        (("--variant", "one-weird-trick", "--classes", 10), 61_100_840 - 990 * 4097, 714_188_480 - 990 * 4096),
        (("--input-size", 67, "--classes", 2), None, None),
    ],
)
def test_summary(alexnet, answer, arguments, parameters, macs):
    told = answer("summary", *arguments)
    assert told.keys() == {"variant", "input_size", "parameters", "macs", "layers"}
    for total in ("parameters", "macs"):
        assert told[total] == sum(layer[total] for layer in told["layers"])
    assert all(layer.keys() == {"name", "output_shape", "parameters", "macs"} for layer in told["layers"])
    if parameters:
        assert (told["parameters"], told["macs"]) == (parameters, macs)
    else:
        assert told["layers"][0]["output_shape"] == [96, 15, 15]
    _, out, _ = alexnet("summary", *arguments)
    assert f"{told['parameters']:,}" in out
    assert "conv5" in out


def test_several_precisions_are_compared(answer, trained, pictures, monkeypatch):
    opened, own_data = [], measuring.own_data
    monkeypatch.setattr(measuring, "own_data", lambda *arguments: opened.append(1) or own_data(*arguments))
    told = answer("evaluate", trained, "--data", pictures, "--precision", "float32,int8")
    assert [row["precision"] for row in told["precisions"]] == ["float32", "int8"]
    assert told["precisions"][1]["weight_bytes"] < told["precisions"][0]["weight_bytes"]
    assert len(opened) == 1  # the data, for both


def test_the_held_out_quarter_is_the_same_for_every_seed(alexnet, answer, make_folder, tmp_path):
    data, run = make_folder(tmp_path / "data", {"red": 8, "blue": 8}), tmp_path / "run"
    answer("train", "paper", "--data", data, "--out", run, "--steps", 2, *TOY, "--seed", 3)
    trained = json.loads((run / "evaluation.json").read_text())
    answer("evaluate", run, "--precision", "float32,int8")
    again = json.loads((run / "evaluation.json").read_text())
    assert again["precision"] == "float32"
    assert again["loss"] == pytest.approx(trained["loss"], rel=1e-4)
    assert "val is the quarter that training holds out" in alexnet("evaluate", run)[1]


def test_evaluating_on_other_data_leaves_the_run_alone(answer, trained, make_folder, tmp_path):
    other = make_folder(
        tmp_path / "other", {f"{split}/{c}": 2 for split in ("train", "val") for c in ("blue", "green", "red")}
    )
    before = {path.name: path.stat().st_mtime_ns for path in trained.iterdir()}
    answer("evaluate", trained, "--data", other)
    assert {path.name: path.stat().st_mtime_ns for path in trained.iterdir()} == before


def test_a_bad_picture_in_training_is_named_and_left_out(alexnet, make_folder, tmp_path):
    folder = make_folder(tmp_path / "data", {"train/red": 3, "train/blue": 3, "val/red": 2, "val/blue": 2})
    bad = folder / "train" / "red" / "001.jpg"
    bad.write_bytes(b"<html>404</html>")
    code, _, err = alexnet("train", "modern", "--data", folder, "--out", tmp_path / "run", "--steps", 2, *TOY)
    assert code == 0
    assert "left out train/red/001.jpg" in err
    assert bad.read_bytes() == b"<html>404</html>"
    (entry,) = json.loads((tmp_path / "run" / "config.json").read_text())["data"]["quarantine"]
    assert entry["name"] == "train/red/001.jpg"


def test_a_pattern_that_no_shell_has_expanded_names_its_pictures(answer, mistake, run, pictures, tmp_path):
    folder = tmp_path / "some"
    shutil.copytree(pictures / "val" / "red", folder)
    (folder / "001.jpg").rename(folder / "a[1].jpg")
    (folder / "note.txt").write_text("not a picture")
    named = answer("predict", run, folder / "*.jpg")
    assert [image["image"] for image in named["images"]] == [str(folder / "000.jpg"), str(folder / "a[1].jpg")]
    assert len(answer("predict", run, folder / "a[1].jpg")["images"]) == 1  # a file of that very name
    assert len(answer("predict", run, tmp_path / "**" / "0*.jpg")["images"]) == 1
    assert "there is no picture" in mistake("predict", run, folder / "*.gif")


def test_errors_by_class_are_in_words():
    names = ("n02012849", "n01440764", "n03126707")
    tally = Tally(names)
    tally.add(np.eye(3, dtype=np.float32), np.arange(3))
    evaluation = tally.evaluation(views=1, models=1, split="val", seconds=1.0)
    lines = show.TEXTS["evaluate"](Measured(**structs.asdict(evaluation)))
    assert lines[-4:-2] == ["  n02012849 crane       0.0% of 1", "  tench, Tinca tinca    0.0% of 1"]


# interruptions


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_leaves_cleanly_and_the_run_goes_on_bit_for_bit(
    number, alexnet, answer, pictures, tmp_path, monkeypatch
):
    from alexnet.progress import Display

    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    start = ["train", "modern", "--data", pictures, "--steps", 4, *TOY]
    answer(*start, "--out", tmp_path / "whole")

    def stepped(self, step, total, loss, images_per_s):
        if step == 2:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(Display, "stepped", stepped)
        code, out, err = alexnet(*start, "--out", tmp_path / "parts", "--json")
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}[number]
    assert json.loads(out) == {"run": str(tmp_path / "parts"), "complete": False}
    assert "saving, then stopping" in err
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    assert checkpoint.load(tmp_path / "parts" / "last.safetensors").header.progress.step == 2
    assert answer("train", "--resume", tmp_path / "parts")["complete"]
    for name in ("last.safetensors", "model.safetensors"):
        ours, theirs = (load_file(tmp_path / run / name) for run in ("parts", "whole"))
        assert all((ours[key] == theirs[key]).all() for key in theirs)
    answers = [unsealed((tmp_path / run / "evaluation.json").read_text()) for run in ("parts", "whole")]
    assert {**answers[0], "seconds": 0} == {**answers[1], "seconds": 0}


def test_a_stopped_run_says_how_to_go_on(alexnet, pictures, tmp_path, monkeypatch):
    from alexnet.progress import Display

    monkeypatch.setattr(Display, "stepped", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    run = tmp_path / "my run"
    _, out, _ = alexnet("train", "modern", "--data", pictures, "--steps", 3, *TOY, "--out", run)
    assert out == f"stopped and saved; continue with: alexnet train --resume '{run}'\n"


def test_a_finished_run_that_is_resumed_says_how_to_go_on(alexnet, trained):
    code, out, err = alexnet("train", "--resume", trained)
    assert code == 0
    assert f"{trained} is finished; to go on from it as a new run: alexnet train --from {trained} --epochs 20\n" in err
    assert "top-1 error" in out


def test_a_second_signal_does_not_wait(alexnet, pictures, tmp_path, monkeypatch):
    from alexnet.progress import Display

    def stepped(self, *progress):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Display, "stepped", stepped)
    code, _, err = alexnet("train", "modern", "--data", pictures, "--steps", 3, *TOY, "--out", tmp_path / "run")
    assert code == 130
    assert "Traceback" not in err


# mistakes


def training(data, out, *more):
    return ["train", "modern", "--data", data, "--out", out, "--steps", 2, *TOY, *more]


def test_a_wrong_path(mistake, trained, pictures, tmp_path):
    nowhere = tmp_path / "nowhere"
    assert "there is no source" in mistake(*training(nowhere, tmp_path / "out"))
    assert "there is no source" in mistake("pack", nowhere, tmp_path / "out")
    assert "there is no source" in mistake("evaluate", trained, "--data", nowhere)
    assert "no trained network at" in mistake("evaluate", nowhere, "--data", pictures)
    assert "no trained network at" in mistake("predict", nowhere, pictures / "val" / "red" / "000.jpg")
    assert "there is no picture" in mistake("predict", trained, nowhere)
    assert "no run folder" in mistake("train", "--resume", nowhere)
    assert "nowhere" in mistake("report", nowhere)
    assert not (tmp_path / "out").exists()
    assert not nowhere.exists()


def test_a_path_nearly_right(mistake, pictures, tmp_path):
    wrong = pictures.parent / "colors"
    assert "did you mean 'colours'?" in mistake(*training(wrong, tmp_path / "out"))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"train/red": 2, "val/red": 1}, "has one class only ('red')"),
        ({"red": 3}, "has one class only"),
        ({"train/red": 2, "train/blue": 0, "val/red": 1}, "class folder 'blue' holds no pictures"),
        ({"train/red": 2, "train/blue": 2, "val/red": 1, "val/green": 1}, "class 'green' of val is unknown to train"),
        ({"train/red": 2, "train/blue": 2, "val/red": 0}, "val"),
        ({"train/red": 2, "train/blue": 2}, "nothing to test on"),
        ({"red": 1, "blue": 1}, "a split needs at least 2"),
        ({"red": 0}, "holds no pictures"),
    ],
)
def test_a_folder_that_cannot_serve(mistake, make_folder, tmp_path, counts, told):
    folder = make_folder(tmp_path / "data", counts)
    assert told in mistake(*training(folder, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_class_without_a_good_picture(mistake, make_folder, tmp_path):
    folder = make_folder(tmp_path / "data", {"train/red": 2, "train/blue": 1, "val/red": 1})
    (folder / "train" / "blue" / "000.jpg").write_bytes(b"")
    assert "class 'blue' has no good training picture" in mistake(*training(folder, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_stopping_at_a_bad_picture(mistake, make_folder, tmp_path):
    folder = make_folder(tmp_path / "data", {"train/red": 2, "train/blue": 2, "val/red": 1})
    (folder / "train" / "blue" / "001.jpg").write_bytes(b"GIF89a")
    assert "train/blue/001.jpg: " in mistake(*training(folder, tmp_path / "out", "--on-bad-image", "stop"))


def test_a_run_goes_on_where_its_data_have_moved_and_remembers_it(mistake, answer, make_folder, tmp_path):
    data, run = (
        make_folder(tmp_path / "data", {"train/red": 6, "train/blue": 6, "val/red": 2, "val/blue": 2}),
        tmp_path / "run",
    )
    answer(*training(data, run))
    assert json.loads((run / "config.json").read_text())["data"]["source"] == str(data)
    data.rename(tmp_path / "moved")
    for command in (["train", "--resume", run], ["evaluate", run]):
        assert "is no source" in (line := mistake(*command))
        assert "say by --data where it lies now" in line
    assert answer("train", "--resume", run, "--data", tmp_path / "moved")["complete"]
    assert json.loads((run / "config.json").read_text())["data"]["source"] == str(tmp_path / "moved")
    assert answer("train", "--resume", run)["complete"]
    assert answer("evaluate", run)["n"] == 4


def test_a_built_in_name_stays_a_name_beside_a_folder_of_that_name(monkeypatch, tmp_path):
    (tmp_path / "solar-cells").mkdir()
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert from_anywhere("solar-cells") == "solar-cells"
    assert from_anywhere("mine") == str(tmp_path / "mine")
    assert from_anywhere("https://host/store") == "https://host/store"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("command", ["predict", "explain"])
def test_a_pipe_among_pictures_is_not_waited_for_and_the_others_are_answered(
    command, alexnet, trained, pictures, tmp_path
):
    picture, pipe = next((pictures / "val").rglob("*.jpg")), tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    more = ["--out", tmp_path / "maps", "--method", "gradient"] if command == "explain" else []
    code, told, _ = alexnet(command, trained, pipe, picture, *more, "--json")
    told = json.dumps(json.loads(told))
    assert code == 2  # as where any picture could not be read
    assert f'"{pipe}", "error": "a pipe, which is never opened"' in told
    assert f'"image": "{picture}"' in told


def test_a_run_of_one_step_is_refused_before_it_starts(mistake, make_folder, tmp_path):
    data = make_folder(tmp_path / "data", {"train/red": 6, "train/blue": 6, "val/red": 2, "val/blue": 2})
    told = mistake(
        "train", "modern", "--data", data, "--out", tmp_path / "run", "--epochs", 1, *TOY[:-1], "batch_size=32"
    )
    assert "12 pictures in batches of 32 make one step" in told


def test_files_that_are_not_read_are_counted(alexnet, make_folder, tmp_path):
    data = make_folder(tmp_path / "data", {"train/red": 6, "train/blue": 6, "val/red": 2, "val/blue": 2})
    (data / "train" / "red" / "list.txt").write_text("red")
    code, _, err = alexnet(*training(data, tmp_path / "run"))
    assert code == 0
    assert "left out train/red/list.txt: text, not a picture" in err
    assert "left out: 1 no pictures" not in err  # said once
    assert "left out: 1 no pictures" in alexnet(*training(data, tmp_path / "again"))[2]  # of pictures packed before


def test_pictures_of_a_phone_are_named_up_to_ten(alexnet, make_folder, tmp_path):
    data = make_folder(tmp_path / "data", {"train/red": 6, "train/blue": 6, "val/red": 2, "val/blue": 2})
    for number in range(12):
        (data / "train" / "red" / f"{number:02}.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    code, _, err = alexnet(*training(data, tmp_path / "run"))
    assert code == 0
    assert "left out train/red/00.heic: damaged HEIC" in err
    assert "10.heic" not in err
    assert "left out 2 more" in err


@pytest.mark.parametrize(("side", "stored", "seen"), [(64, 112, 99), (300, 256, 227)])
def test_small_pictures_are_packed_and_seen_in_sizes_that_suit_them(make_folder, tmp_path, side, stored, seen):
    names = [f"{split}/{name}" for split in ("train", "val") for name in ("red", "blue")]
    data = make_folder(tmp_path / "data", dict.fromkeys(names, 2), side)
    packed = commands.pack(data, tmp_path / "store")
    assert read_manifest(tmp_path / "store").size == stored
    assert commands.pack(data, tmp_path / "store").hash == packed.hash
    for changes, input_size in (({}, seen), ({"input_size": 67}, 67)):
        job = work.new("modern", tmp_path / "store", tmp_path / "run", None, changes, EVERYTHING)
        assert (job.settings.input_size or 227) == input_size


def test_a_store_packed_at_another_size_stays_as_it_is(make_folder, tmp_path):
    names = [f"{split}/{name}" for split in ("train", "val") for name in ("red", "blue")]
    data = make_folder(tmp_path / "data", dict.fromkeys(names, 2), 64)
    first = commands.pack(data, tmp_path / "store", size=256)
    assert commands.pack(data, tmp_path / "store").hash == first.hash


@pytest.mark.parametrize("moment", [1, 5, 9, 13, 17])
def test_after_a_full_disk_the_same_command_goes_on(alexnet, store, tmp_path, monkeypatch, moment):
    """The moments are calls of fsync: of the configuration, the best weights, the newest, the errors, the report."""
    fsync, count = os.fsync, itertools.count(1)

    def full(handle):
        if next(count) >= moment:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    command = training(store.directory, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, _, err = alexnet(*command)
    assert code == 2
    assert err.splitlines()[-1].startswith(f"alexnet: the disk of {tmp_path / 'run'} is full: free some space")
    assert alexnet(*command)[0] == 0
    assert (tmp_path / "run/report.html").is_file()


def test_room_on_the_disk_is_asked_for_before_the_first_step(mistake, alexnet, store, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=50_000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda place: free)
        told = mistake(*training(store.directory, tmp_path / "run"))
    assert f"the disk of {tmp_path / 'run'} has 0.1 MB free, and this training needs 0." in told
    assert not (tmp_path / "run/metrics.jsonl").exists()
    assert alexnet(*training(store.directory, tmp_path / "run"))[0] == 0


def test_a_run_folder_that_exists(mistake, trained, pictures):
    before = (trained / "last.safetensors").read_bytes()
    told = mistake(*training(pictures, trained))
    assert "exists already" in told
    assert f"alexnet train --resume {trained}" in told
    assert (trained / "last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "modren"], "no recipe 'modren'; perhaps 'modern'"),
        (["train", "xyz"], "there are paper, modern, demo"),
        (["trian"], "perhaps 'train'"),
        ([], "COMMAND"),
        (["train"], "train needs a RECIPE"),
        (["train", "modern"], "train needs --data, for instance --data ~/pictures"),
        (["train", "modern", "--data", "x"], "train needs --out, for instance --out runs/mine"),
        (["train", "modern", "--epochs", "two"], "invalid float value: 'two'"),
        (["train", "modern", "--epochs", "2", "--steps", "5"], "--epochs and --steps are two ways to say how long"),
        (["train", "--resume", "x", "--seed", "0"], "--resume takes all but --data from the run"),
        (["train", "--resume", "x", "--set", "lrn=false"], "--resume takes all but --data from the run"),
        (["evaluate", "x", "--views", "5"], "no 5 here"),
        (["evaluate"], "RUN"),
        (["predict", "x"], "IMAGE"),
        (["summary", "--variant", "alexnett"], "no variant 'alexnett'; there are alexnet"),
        (["summary", "--input-size", "66"], "smallest input is 67"),
        (["summary", "--classes", "0"], "at least one class"),
        (["bench", "everything"], "everything"),
    ],
)
def test_a_wrong_word(mistake, arguments, told):
    assert told in mistake(*arguments)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("learnin_rate=0.1", "no setting 'learnin_rate'; perhaps 'learning_rate'"),
        ("learning_rate", "a setting is written name=value"),
        ("learning_rate=-1", "learning_rate must lie between"),
        ("batch_size=2.5", "batch_size takes int"),
        ("colour=sepia", "colour must be one of lecture, source, none"),
        ("variant=vgg", "no variant 'vgg'"),
        ("initialisation=zeros", "no initialisation 'zeros'"),
        ("input_size=20", "the smallest input is 67"),
    ],
)
def test_a_wrong_setting(mistake, pictures, tmp_path, setting, told):
    assert told in mistake(*training(pictures, tmp_path / "out", "--set", setting))
    assert not (tmp_path / "out").exists()


def test_wrong_numbers_on_the_command_line(mistake, pictures, tmp_path):
    for flag, value in [("--seed", -1), ("--steps", -3), ("--input-size", 0)]:
        arguments = ["train", "modern", "--data", pictures, "--out", tmp_path / "out", flag, value]
        assert f"{flag[2:].replace('-', '_')} must lie between" in mistake(*arguments)


def test_a_missing_split(mistake, trained, pictures):
    told = mistake("evaluate", trained, "--data", pictures, "--split", "test")
    assert "no split 'test'; there are train, val" in told


def test_who_leaves_the_network_out_is_told_what_comes_in_which_order(mistake):
    told = mistake("predict", "picture.jpg")
    assert (
        told
        == "alexnet predict: the following arguments are required: IMAGE|FOLDER; it takes RUN IMAGE|FOLDER; "
        + ("see alexnet predict --help\n")
    )
    assert "it takes" not in mistake("predictt")


def test_an_unknown_class(mistake, trained, make_folder, tmp_path):
    folder = make_folder(tmp_path / "data", {"train/red": 2, "train/blue": 2, "val/red": 1})
    for split in ("train", "val"):
        shutil.copytree(folder / split / "red", folder / split / "violet")
    assert "does not know the class 'violet'" in mistake("evaluate", trained, "--data", folder)


def test_pictures_that_cannot_be_read_are_named_beside_the_others(alexnet, trained, pictures, tmp_path):
    (tmp_path / "mixed").mkdir()
    shutil.copy(pictures / "val" / "red" / "000.jpg", tmp_path / "mixed" / "a.jpg")
    (tmp_path / "mixed" / "b.jpg").write_text("<html>404</html>")
    code, out, err = alexnet("predict", trained, tmp_path / "mixed")
    assert code == 2
    assert err == "alexnet: 1 of 2 pictures could not be read\n"
    assert "b.jpg: " in out
    assert "%" in out
    code, out, _ = alexnet("predict", trained, tmp_path / "mixed", "--json")
    good, bad = json.loads(out)["images"]
    assert code == 2
    assert len(good["predictions"]) == 3
    assert bad["error"]


def test_a_folder_without_pictures_to_predict(mistake, trained, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "there are no pictures in" in mistake("predict", trained, tmp_path / "empty")
    assert "--top takes 1 or more" in mistake("predict", trained, tmp_path / "empty", "--top", "0")


def test_a_file_that_may_not_be_read(mistake, trained, monkeypatch):
    def closed(*_, **__):
        raise PermissionError(13, "Permission denied", "runs/mine/model.safetensors")

    monkeypatch.setattr("alexnet.evaluation.classifier.load", closed)
    assert mistake("predict", trained, trained) == "alexnet: runs/mine/model.safetensors: Permission denied\n"


def test_names_cannot_move_the_cursor(alexnet, trained, pictures, tmp_path):
    picture = shutil.copy(next(pictures.rglob("*.jpg")), tmp_path / "a\x1b[2J\udce9.jpg")
    code, out, _ = alexnet("predict", trained, picture)
    assert code == 0
    assert "a [2J .jpg" in out
    assert "\x1b" not in out


def test_a_result_is_shown_even_where_it_cannot_be_kept(alexnet, trained, monkeypatch):
    def full(*_):
        raise DataError("the disk is full")

    assert alexnet("evaluate", trained)[0] == 0  # packs the pictures, and says what they are
    monkeypatch.setattr("alexnet.run.write", full)
    code, out, err = alexnet("evaluate", trained)
    assert code == 2
    assert "top-1 error" in out
    assert err == "alexnet: the disk is full; the run keeps what it had\n"


def test_a_home_that_the_shell_did_not_put_in_is_found(answer, trained, store, monkeypatch):
    monkeypatch.setenv("HOME", str(store.directory.parent))
    answer("evaluate", trained, f"--data=~/{store.directory.name}")


def test_a_damaged_run(mistake, trained, pictures):
    data = bytearray((trained / "model.safetensors").read_bytes())
    data[-10] ^= 1
    (trained / "model.safetensors").write_bytes(data)
    for told in ("has not the length and SHA-256 that its manifest.json says", "tensors do not match its checksum"):
        for command in (["evaluate", trained], ["predict", trained, pictures / "val"]):
            assert told in mistake(*command)
        (trained / "manifest.json").unlink(missing_ok=True)
    (trained / "last.safetensors").write_bytes(b"")
    assert "is not a whole safetensors file" in mistake("train", "--resume", trained)
    (trained / "config.json").write_text('{"half":')
    assert "config.json is incomplete or damaged" in mistake("train", "--resume", trained)


def test_a_run_whose_data_are_gone_or_changed(alexnet, mistake, trained, make_folder, tmp_path):
    described = unsealed((trained / "config.json").read_text())
    folder = make_folder(tmp_path / "data", {"train/red": 2, "train/blue": 2, "val/red": 1})
    described["data"]["source"] = str(folder)
    (trained / "config.json").write_text(json.dumps(described))
    code, _, err = alexnet("train", "--resume", trained)  # says first how the folder is understood
    assert code == 2
    assert "have changed since it started" in err.splitlines()[-1]
    assert "Traceback" not in err
    shutil.rmtree(folder)
    assert "there is no source" in mistake("train", "--resume", trained)


def test_a_diverging_run_names_the_remedy(alexnet, pictures, tmp_path):
    wild = ["--set", "learning_rate=1000", "--set", "schedule=constant"]
    arguments = ["train", "modern", "--data", pictures, "--out", tmp_path / "run", "--steps", 200, *TOY, *wild]
    code, _, err = alexnet(*arguments)
    assert code == 2
    last = err.splitlines()[-1]
    assert "take a third of it (--set learning_rate=3.3e+02)" in last
    assert "Traceback" not in err


# commands that take long, cut short


def test_the_demo_fine_tunes_compares_and_goes_on(alexnet, run, make_folder, tmp_path, monkeypatch):
    small = {"batch_size": 4, "epochs": 2, "precision": "float32"}
    monkeypatch.setattr("alexnet.weights.box.find", lambda name: run / "model.safetensors")
    monkeypatch.setattr("alexnet.training.transfer.FEW", 0)
    monkeypatch.setitem(recipes.RECIPES, "demo", replace(recipes.RECIPES["demo"], **small))
    folder = make_folder(tmp_path / "cells", {"red": 8, "blue": 4})
    monkeypatch.setattr("alexnet.data.sources.open_solar_cells", lambda seed: open_source(folder, seed=seed))
    code, out, err = alexnet("demo", "--out", tmp_path / "demo")
    assert code == 0, err
    assert "always the larger class" in out
    assert "33.3%" in out
    for row in ("from scratch, 24 epochs", "frozen features of tiny-imagenet", "fine-tuned "):
        assert f"\n  {row}" in out
    assert "SVM on hand-made features (Deitsch et al. 2019)        17.6%" in out
    before = (tmp_path / "demo" / "model.safetensors").read_bytes()
    assert alexnet("demo", "--out", tmp_path / "demo")[0] == 0
    assert (tmp_path / "demo" / "model.safetensors").read_bytes() == before


def test_doctor_and_bench_print_what_they_find(answer, alexnet, pictures, monkeypatch):
    from alexnet.benches.doctor import Stage
    from alexnet.benches.findings import Figures, Limit

    def launch(contestant, size):
        if contestant.name == "training steps":
            return Figures(5.0, peak_bytes=5.0)
        return dict.fromkeys((Stage.DECODING, Stage.AUGMENTATION, Limit.COPY, "float32 contiguous"), 5.0)

    monkeypatch.setattr("alexnet.benches.doctor.launch", launch)
    monkeypatch.setattr("alexnet.benches.contest.launch", launch)
    assert answer("doctor", "--data", pictures)["bound_by"]
    assert "training is bound by" in alexnet("doctor")[1]
    assert answer("bench", "lrn")["rows"]
    assert "float32 contiguous" in alexnet("bench", "lrn")[1]


# the door


def imported(*words):
    """Runs a command in a process of its own; gives its output and the modules that it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "alexnet", *words]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0
    return ended.stdout, {line.split("|")[-1].strip() for line in ended.stderr.splitlines()}


def test_help_imports_nothing_heavy():
    said, modules = imported("--help")
    assert "train" in said
    assert "examples:" in said
    assert not modules & {"torch", "numpy", "PIL", "tqdm", "safetensors", "simplejpeg"}


@pytest.mark.parametrize("words", [("weights", "list"), ("claim", "--list")])
def test_a_list_does_not_wait_for_torch(words):
    assert "torch" not in imported(*words)[1]


@pytest.mark.parametrize(
    "command", ["summary", "pack", "train", "evaluate", "predict", "report", "bench", "doctor", "demo", "compress"]
)
def test_every_command_explains_itself(alexnet, command):
    code, out, _ = alexnet(command, "--help")
    assert code == 0
    assert out.startswith(f"usage: alexnet {command}")
    assert "--json" in out


def test_the_version_is_told(alexnet):
    import alexnet as package

    assert alexnet("--version")[:2] == (0, f"alexnet {package.__version__}\n")


def test_a_closed_pipe_is_no_crash():
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "alexnet", "summary", "--input-size", "67", "--classes", "2"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )
    os.close(writer)
    assert ended.stderr == ""


# what is odd, and what is meant badly


def test_a_run_does_not_go_into_the_pictures(mistake, make_folder, tmp_path):
    source = make_folder(tmp_path / "pics", {"red": 4, "blue": 4})
    assert "which is only read" in mistake("train", "modern", "--data", source, "--out", source / "run1", *TOY)
    assert not (source / "run1").exists()


def test_settings_are_refused_before_anything_is_packed(mistake, pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    train = ["train", "modern", "--data", pictures, "--out", tmp_path / "run"]
    assert "no initialisation 'zzz'" in mistake(*train, "--set", "initialisation=zzz")
    assert "40 pixels are too few" in mistake(*train, "--input-size", "40")
    assert not (tmp_path / "cache").exists()


def test_a_run_does_not_decide_which_machine_is_called(mistake, trained):
    config = unsealed((trained / "config.json").read_text())
    for name in ("model.safetensors", "last.safetensors"):
        saved = checkpoint.load(trained / name)
        data = structs.replace(saved.header.data, source="http://127.0.0.1:1/store")
        checkpoint.save(trained / name, saved.model, saved.mean, structs.replace(saved.header, data=data))
    (trained / "manifest.json").unlink()
    config["data"]["source"] = "http://127.0.0.1:1/store"
    (trained / "config.json").write_text(json.dumps(config))
    for words in (("evaluate", trained), ("train", "--resume", trained)):
        assert "give --data http://127.0.0.1:1/store to fetch from there" in mistake(*words)


def test_a_path_of_any_length_is_one_line(mistake, trained):
    endless = "x" * 3000
    for words in (
        ("pack", endless, "st"),
        ("predict", trained, endless),
        ("report", endless),
        ("convert", endless, "r"),
    ):
        assert len(mistake(*words)) < 400


def test_names_have_no_lines_of_their_own(alexnet, trained, pictures, tmp_path):
    forged = tmp_path / "x.jpg\n  dog 100.0% ████\nok.jpg"
    shutil.copy(next((pictures / "val/red").iterdir()), forged)
    _, out, _ = alexnet("predict", trained, forged)
    assert out.splitlines()[0].endswith("ok.jpg")


def test_a_terminal_without_blocks_gets_bars_all_the_same(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="cp1252"))
    answer = Prediction(image="a.jpg", predictions=(Guess(class_name="dog", probability=0.5),))
    assert show.prediction(answer)[-1].endswith("50.0% ###############")


def test_a_path_that_begins_with_a_dash_gets_the_remedy(mistake):
    for words in (["train", "modern", "--data", "-dash"], ["predict", "tiny-imagenet", "a.jpg", "-dash.jpg"]):
        assert "(a path that begins with a dash is written ./-...)" in mistake(*words)
    assert "./-" not in mistake("predict", "tiny-imagenet", "a.jpg", "--wibble")


def test_absurd_sizes_are_refused(mistake):
    assert "input_size must lie between 1 and 4096, got 1000000" in mistake("summary", "--input-size", "1000000")
    assert "input_size must lie between 1 and 4096, got 0" in mistake("summary", "--input-size", "0")
    assert "at most 1,000,000 classes" in mistake("summary", "--classes", 10**15)


def test_a_folder_to_predict_is_looked_through_as_for_packing(answer, trained, pictures, tmp_path):
    """Thumbnails of a server and hidden ones are no pictures, nor a folder called like one; links are followed."""
    for folder in (".hidden", "@eaDir", "d.jpg", "real"):
        (tmp_path / "looked" / folder).mkdir(parents=True)
    for folder in (".hidden", "@eaDir", "real"):
        shutil.copy(next((pictures / "val/red").iterdir()), tmp_path / "looked" / folder / "a.jpg")
    (tmp_path / "looked" / "linked").symlink_to(pictures / "val" / "blue")
    found = [row["image"] for row in answer("predict", trained, tmp_path / "looked")["images"]]
    assert len(found) == 5
    assert not any(hidden in name for name in found for hidden in (".hidden", "@eaDir"))


@pytest.mark.parametrize("address", ["http://[bad/x", "http://a..b/x", "zip://nothing.zip", "nosuchkind://x/y"])
def test_an_address_that_is_none_is_one_line(mistake, run, address):
    assert "give a path, https://, s3:// or gs://" in mistake("evaluate", run, "--data", address)
