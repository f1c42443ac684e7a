"""What the commands say of a source before they work on it, and what they leave out of it."""

import json
import shutil

import pytest

from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.run import Run

TOY = ["--variant", "toy", "--input-size", "67", "--precision", "float32", "--set", "batch_size=4"]
TWO_SPLITS = {"Training/red": 4, "Training/blue": 4, "Testing/red": 2, "Testing/blue": 2}


@pytest.fixture
def data(make_folder, tmp_path):
    return make_folder(tmp_path / "data", {**TWO_SPLITS, "Training/masks/red": 1, "#recycle/red": 1})


def test_a_dry_run_says_what_is_understood_and_packs_nothing(alexnet, data, tmp_path):
    code, out, err = alexnet("pack", data, tmp_path / "store", "--dry-run", "--exclude", "masks", "--exclude", "none")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "data: train in Training/; test in Testing/; a folder for each class",
        "2 classes; 8 train, 4 test",
        "left out #recycle: a bin, snapshots or thumbnails of the system",
        "left out Training/masks: named by `exclude`",
    ]
    assert not (tmp_path / "store").exists()


def test_a_name_has_no_lines_of_its_own(alexnet, make_folder, tmp_path):
    folder = make_folder(tmp_path / "new\nline\x1b[2J", {"red": 6, "blue": 4})
    assert alexnet("pack", folder, "--dry-run")[1].splitlines() == [
        "new line [2J: a folder for each class, without splits",
        "2 classes; 10 train, of which about 25% of every class is held out as val",
    ]


def test_a_link_to_a_folder_around_it_is_left_out_by_its_name(alexnet, make_folder, tmp_path):
    folder = make_folder(tmp_path / "loops", {"red": 6, "blue": 4})
    for link in ("loop", "red/up"):
        (folder / link).symlink_to(folder)
    code, out, err = alexnet("pack", folder, "--dry-run")
    assert code == 0, err
    assert out.splitlines()[1:] == [
        "2 classes; 10 train, of which about 25% of every class is held out as val",
        "left out loop: a link to a folder around it",
        "left out red/up: a link to a folder around it",
    ]


def test_a_dry_run_needs_no_store_and_answers_in_json(alexnet, make_folder, tmp_path):
    folder = make_folder(tmp_path / "flat", {"red": 6, "blue": 4, "test/unlabelled": 0, ".hidden/red": 1})
    shutil.rmtree(folder / "test")
    code, out, _ = alexnet("pack", folder, "--dry-run", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["classes"] == ["blue", "red"]
    assert (told["counts"], told["held_out"]) == ({"train": 10}, 0.25)
    assert told["left_out"] == [{"path": ".hidden", "cause": "hidden", "reason": "hidden", "count": 1}]
    assert alexnet("pack", folder)[0] == 2


def test_a_store_keeps_what_was_left_out_and_the_patterns(alexnet, data, tmp_path):
    code, _, err = alexnet("pack", data, tmp_path / "store", "--size", 32, "--exclude", "masks")
    assert code == 0
    assert "alexnet: data: train in Training/; test in Testing/" in err
    store = Store(tmp_path / "store")
    assert [entry.path for entry in store.left_out] == ["#recycle", "Training/masks"]
    assert (store.selection.exclude, store.ignored) == (("masks",), 2)
    assert store.layout == "train in Training/; test in Testing/; a folder for each class"


def test_a_run_remembers_what_was_excluded(alexnet, data, tmp_path):
    run = tmp_path / "run"
    code, _, err = alexnet("train", "modern", "--data", data, "--out", run, "--exclude", "masks", "--steps", 2, *TOY)
    assert code == 0, err
    description = Run(run).description()
    assert description.data.selection.exclude == ("masks",)
    assert [entry.path for entry in description.data.left_out] == ["#recycle", "Training/masks"]
    code, _, err = alexnet("evaluate", run)
    assert code == 0, err
    assert alexnet("train", "--resume", run, "--exclude", "other")[0] == 2


def test_a_packed_store_cannot_be_packed_again_without_some_folders(alexnet, store, tmp_path):
    code, _, err = alexnet(
        "train", "modern", "--data", store.directory, "--out", tmp_path / "r", "--exclude", "x", *TOY
    )
    assert code == 2
    assert (
        "is packed: give --exclude, --labels and --split-by-duplicates with the source that it was packed from" in err
    )


@pytest.mark.parametrize("folders", [{"red": 1, "green": 1}, {"red": 3}, {"red": 8, "blue": 8}, {"test/red": 2}])
def test_all_of_a_new_labelled_folder_is_measured(alexnet, run, make_folder, tmp_path, folders):
    new = make_folder(tmp_path / "new", folders)
    code, out, err = alexnet("evaluate", run, "--data", new, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["n"], told["split"], told["is_split_drawn"]) == (sum(folders.values()), "test", False)


def test_nothing_is_trained_on_pictures_packed_to_measure_on(pictures, make_folder, tmp_path):
    from alexnet.data.open import open_data

    store = open_data(make_folder(tmp_path / "new", {"red": 2}), size=76, is_measured=True)
    with pytest.raises(UsageError, match="pictures to measure on, none to train on"):
        open_data(store.directory, size=76)


def test_labels_come_from_a_table_when_packing_and_measuring(alexnet, run, make_folder, tmp_path):
    folder = make_folder(tmp_path / "mixed", {"red": 4})
    table = tmp_path / "labels.csv"
    table.write_text("file_name,label\n" + "".join(f"00{i}.jpg,{('red', 'blue')[i % 2]}\n" for i in range(4)))
    code, out, _ = alexnet("pack", folder, "--labels", table, "--dry-run")
    assert (code, out.splitlines()[0]) == (0, "mixed: labels from labels.csv")
    code, out, err = alexnet("evaluate", run, "--data", folder, "--labels", table, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert (told["n"], told["split"]) == (4, "test")
    assert {row["name"]: row["n"] for row in told["per_class"]} == {"blue": 2, "green": 0, "red": 2}


def test_a_store_is_verified_and_a_flipped_bit_named_with_its_picture(alexnet, store, tmp_path):
    copy = shutil.copytree(store.directory, tmp_path / "store")
    code, out, err = alexnet("pack", "--verify", copy)
    assert (code, out.splitlines()[-1], err) == (0, "everything is as it was packed", "")
    place, shard = store.splits["val"]._index[5], copy / "val-000000.tar"
    content = bytearray(shard.read_bytes())
    content[place["offset"] + place["length"] // 2] ^= 1
    shard.write_bytes(content)
    code, out, err = alexnet("pack", "--verify", copy)
    assert code == 2
    assert out.splitlines()[1:] == ["val-000000.tar is damaged", f"  {store.splits['val'].name(5)}"]
    assert "files of" in err
    assert err.count("\n") == 1


def test_a_training_says_once_what_was_left_out(alexnet, data, tmp_path):
    for run in ("first", "second"):  # of which the first packs
        code, _, err = alexnet("train", "paper", "--data", data, "--out", tmp_path / run, *TOY, "--steps", "1")
        assert code == 0, err
        assert err.count("left out") == 1


def test_what_a_table_groups_stays_on_one_side(alexnet, make_folder, tmp_path):
    data = make_folder(tmp_path / "data", {"red": 9, "blue": 9})
    (tmp_path / "groups.csv").write_text(
        "group,path\n" + "".join(f"{i},{c}/{i:03d}.jpg\n" for i in range(9) for c in ("red", "blue"))
    )
    table = ["--split-by-duplicates", tmp_path / "groups.csv"]
    code, _, err = alexnet("pack", data, tmp_path / "store", "--size", 32, *table)
    assert code == 0, err
    store = Store(tmp_path / "store")
    assert len(store.selection.groups) == 9
    held = {store.splits["val"].name(i) for i in range(len(store.splits["val"]))}
    assert held
    assert {name.partition("/")[2] for name in held if name.startswith("red")} == {
        name.partition("/")[2] for name in held if name.startswith("blue")
    }


def test_a_training_takes_a_table_of_groups(alexnet, store, tmp_path):
    (tmp_path / "groups.csv").write_text("group,path\n0,red/000.jpg\n")
    command = ["train", "modern", "--out", tmp_path / "r", "--split-by-duplicates", tmp_path / "groups.csv", *TOY]
    code, _, err = alexnet(*command, "--data", store.directory)
    assert (code, "is packed: give --exclude, --labels and --split-by-duplicates with" in err) == (2, True)
    assert alexnet("train", "--resume", tmp_path / "r", "--split-by-duplicates", tmp_path / "groups.csv")[0] == 2
