"""Labels from tables: one that is named, Hugging Face's metadata, and annotations beside flat splits."""

import json
import tarfile
import zipfile

import numpy as np
import pytest
from pictures import encoded, tree

from alexnet.data import labelled, tables
from alexnet.data.sources import open_source
from alexnet.errors import DataError
from alexnet.records import Selection


def by_label(source):
    """The names of the pictures of each split, by label."""
    return {
        split: {
            name: sorted(listing.name(i) for i in np.flatnonzero(listing.labels == label))
            for label, name in enumerate(source.classes)
        }
        for split, listing in source.splits.items()
    }


def opened(folder, table, **more):
    return open_source(folder, draw="names", selection=Selection(labels=str(table)), **more)


@pytest.fixture
def flat(tmp_path):
    """Eight pictures in one folder, without labels."""
    return tree(tmp_path / "birds", {"images": 8}, 4, 4)


ROWS = [(f"images/{i:04d}.jpg", "wren" if i < 4 else "robin", "Training" if i % 4 else "test") for i in range(8)]
RIGHT = {
    "train": {
        "robin": ["images/0005.jpg", "images/0006.jpg", "images/0007.jpg"],
        "wren": ["images/0001.jpg", "images/0002.jpg", "images/0003.jpg"],
    },
    "test": {"robin": ["images/0004.jpg"], "wren": ["images/0000.jpg"]},
}


def written(path, kind):
    if kind == "csv":
        path.write_text("Image Path,Label,Split\n" + "".join(",".join(row) + "\n" for row in ROWS))
    elif kind == "semicolons":
        path.write_text(
            "\ufefflabel;split;filename\n" + "".join(f"{b};{c};{a}\n" for a, b, c in ROWS), encoding="utf-8"
        )
    elif kind == "tsv":
        path.write_text("file\tclass\tset\n" + "".join("\t".join(row) + "\n" for row in ROWS))
    elif kind == "jsonl":
        path.write_text(
            "\n".join(json.dumps(dict(zip(("file_name", "label", "split"), row, strict=True))) for row in ROWS)
        )
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        columns = dict(zip(("path", "label", "split"), map(list, zip(*ROWS, strict=True)), strict=True))
        parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize("kind", ["csv", "semicolons", "tsv", "jsonl", "parquet"])
def test_a_table_names_labels_and_splits(flat, tmp_path, kind):
    ending = "csv" if kind == "semicolons" else kind
    source = opened(flat, written(tmp_path / f"labels.{ending}", kind))
    assert by_label(source) == RIGHT
    assert source.layout == f"labels and splits from labels.{ending}"
    assert not source.is_split_drawn


def test_a_table_without_column_names_or_splits_is_read(flat, tmp_path):
    table = tmp_path / "labels.txt"
    table.write_text("".join(f"{i:04d} {'wren' if i < 4 else 'robin'}\n" for i in range(8)))
    source = opened(flat, table)
    assert (source.classes, source.is_split_drawn) == (("robin", "wren"), True)
    assert {split: len(listing) for split, listing in source.splits.items()} == {"train": 6, "val": 2}


def test_what_a_table_does_not_name_and_what_is_not_there_is_listed(flat, tmp_path):
    table = tmp_path / "labels.csv"
    lines = [f"{i:04d}.jpg,{'ab'[i % 2]}" for i in range(6)]
    table.write_text("\n".join(["file,label", *lines, "0006.jpg,", "gone.jpg,a"]))
    assert {entry.path: (entry.cause, entry.reason) for entry in opened(flat, table).left_out} == {
        "images/0006.jpg": ("unlabelled", "without a label in labels.csv"),
        "images/0007.jpg": ("outside", "not in labels.csv"),
        "gone.jpg": ("missing", "named in labels.csv only"),
    }


MISTAKES = {
    "two labels": ("file,label\n0001.jpg,a\n0001.jpg,b\n0002.jpg,a", "gives images/0001.jpg two labels"),
    "no labels": ("file,width\n0001.jpg,3", "no columns of paths and labels, but 'file', 'width'"),
    "other paths": ("file,label\nx/9.jpg,a", "names none of the pictures"),
    "other splits": ("file,label,split\n0001.jpg,a,fold1", "split 'fold1' is none of train, val and test"),
    "unknown class": ("file,label,split\n0001.jpg,a,train\n0002.jpg,b,train\n0003.jpg,c,val", "'c' of val is unknown"),
    "one class": ("file,label\n0001.jpg,a\n0002.jpg,a", "one class only"),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_table_that_cannot_serve_is_refused_in_one_line(flat, tmp_path, kind):
    text, message = MISTAKES[kind]
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        opened(flat, tmp_path / "labels.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85"])
def test_a_value_in_json_lines_may_hold_what_ends_a_line_elsewhere(end, mark):
    lines = [f'{{"file_name": "{i}.jpg", "label": "a{mark}b"}}' for i in range(2)]
    rows = list(tables.read_table("labels.jsonl", (end.join(lines) + end).encode()))
    assert rows == [("0.jpg", f"a{mark}b", None), ("1.jpg", f"a{mark}b", None)]
    assert list(tables.read_table("labels.csv", f"file,label\n0.jpg,a{mark}b\n".encode())) == rows[:1]


@pytest.mark.parametrize("kind", ["folder", "tar", "zip", "named"])
def test_a_table_that_is_too_large_is_refused_and_never_cut(tmp_path, monkeypatch, kind):
    for module in (tables, labelled):
        monkeypatch.setattr(module, "LARGEST", 60)
    root = tree(tmp_path / "birds", {"images": 4}, 4, 4)
    lines = "".join(f"images/{i:04d}.jpg,{'ab'[i % 2]}\n" for i in range(4))
    table = (tmp_path if kind == "named" else root) / "metadata.csv"
    table.write_text("file_name,label\n" + lines)
    assert table.stat().st_size == 88
    source, labels = root, str(table) if kind == "named" else None
    if kind == "tar":
        source = tmp_path / "birds.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(root, ".")
    elif kind == "zip":
        source = tmp_path / "birds.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in root.rglob("*.*"):
                archive.write(path, path.relative_to(root))
    with pytest.raises(DataError, match=r"metadata\.csv is too large for a table of labels: give one of at most 60 by"):
        open_source(source, draw="names", selection=Selection(labels=labels))


def test_a_table_that_no_picture_could_be_packed_like_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "birds.zip", "w") as archive:
        for i in range(4):
            archive.writestr(f"images/{i}.jpg", encoded())
        table = "file_name,label\n" + "".join(f"images/{i}.jpg,{'ab'[i % 2]}\n" for i in range(4))
        archive.writestr("metadata.csv", table, zipfile.ZIP_BZIP2)
    with pytest.raises(
        DataError, match=r"metadata\.csv in .*birds\.zip is packed in a way that is not read: pack it as"
    ):
        open_source(tmp_path / "birds.zip")


def test_a_missing_table_and_several_labels_are_refused(flat, tmp_path):
    with pytest.raises(DataError, match=r"none\.csv cannot be read"):
        opened(flat, tmp_path / "none.csv")
    (tmp_path / "labels.jsonl").write_text('{"file_name": "0001.jpg", "label": ["a", "b"]}')
    with pytest.raises(DataError, match="one label here, not several"):
        opened(flat, tmp_path / "labels.jsonl")


def test_another_table_is_another_source(flat, tmp_path):
    table = written(tmp_path / "labels.csv", "csv")
    first = opened(flat, table).fingerprint
    table.write_text(table.read_text().replace("wren", "owl"))
    assert opened(flat, table).fingerprint != first


def test_the_metadata_of_an_imagefolder_are_its_labels(tmp_path):
    tree(tmp_path, {"train": 4, "test": 2}, 4, 4)
    lines = [f"000{i}.jpg,{'ab'[i % 2]}" for i in range(4)]
    (tmp_path / "train/metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    rows = [json.dumps({"file_name": f"000{i}.jpg", "label": "ab"[i]}) for i in range(2)]
    (tmp_path / "test/metadata.jsonl").write_text("\n".join(rows))
    assert by_label(open_source(tmp_path)) == {
        "train": {"a": ["train/0000.jpg", "train/0002.jpg"], "b": ["train/0001.jpg", "train/0003.jpg"]},
        "test": {"a": ["test/0000.jpg"], "b": ["test/0001.jpg"]},
    }


def test_metadata_without_labels_leave_the_labels_to_the_folders(tmp_path):
    tree(tmp_path, {"cat": 4, "dog": 4}, 4, 4)
    (tmp_path / "metadata.csv").write_text("file_name,text\ncat/0000.jpg,a cat\n")
    assert open_source(tmp_path).classes == ("cat", "dog")


@pytest.fixture
def tiny(tmp_path):
    """Tiny ImageNet as it is downloaded, of two classes."""
    folders = {"n02/images": 3, "n01/images": 4}
    root = tree(tmp_path / "tiny-imagenet-200", {f"train/{name}": n for name, n in folders.items()}, 4, 4)
    tree(root, {"val/images": 4, "test/images": 3}, 4, 4)
    for name in ("n01", "n02"):
        (root / f"train/{name}/{name}_boxes.txt").write_text(f"{name}_0.JPEG\t0\t0\t62\t62\n")
    lines = [f"000{i}.jpg\tn0{1 + i // 3}\t0\t32\t44\t62\n" for i in range(4)]
    (root / "val/val_annotations.txt").write_text("".join(lines))
    (root / "wnids.txt").write_text("n01\nn02\n")
    (root / "words.txt").write_text("n01\tfish\nn02\tbird, fowl\n")
    return root


def archived(folder, kind):
    path = folder.with_suffix(f".{kind}")
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for each in files:
                file.write(each, each.relative_to(folder.parent))
    else:
        with tarfile.open(path, "w") as tar:
            tar.add(folder, folder.name)
    return path


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_tiny_imagenet_is_read_as_it_is_downloaded(tiny, kind):
    source = open_source(tiny if kind == "folder" else archived(tiny, kind))
    counts = {split: np.bincount(listing.labels, minlength=2).tolist() for split, listing in source.splits.items()}
    assert (source.classes, counts) == (("n01", "n02"), {"train": [4, 3], "val": [3, 1]})
    unlabelled = [entry for entry in source.left_out if entry.cause == "unlabelled"]
    assert [(entry.path.split("/")[-1], entry.count) for entry in unlabelled] == [("test", 3)]
    assert source.layout.endswith("val_annotations.txt")


def test_annotations_that_name_other_classes_label_nothing(tiny):
    annotations = tiny / "val/val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("n0", "x0"))
    with pytest.raises(DataError, match="'val' holds no pictures in class folders: give a table of `labels`"):
        open_source(tiny)


def test_annotations_are_part_of_the_fingerprint(tiny):
    first = open_source(tiny).fingerprint
    annotations = tiny / "val/val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("0002.jpg\tn01", "0002.jpg\tn02"))
    assert open_source(tiny).fingerprint != first


def test_pictures_named_without_endings_are_found_once(flat, tmp_path):
    (flat / "more").mkdir()
    (flat / "more/0001.jpg").write_bytes(encoded())
    (tmp_path / "labels.csv").write_text("id,breed\n" + "".join(f"000{i},{'ab'[i % 2]}\n" for i in range(8)))
    missing = [entry.path for entry in opened(flat, tmp_path / "labels.csv").left_out if entry.cause == "missing"]
    assert missing == ["0001"]  # there are two
