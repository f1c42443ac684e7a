"""What trees of folders are understood to be, and what is said of everything that is left out."""

import os
import tarfile

import pytest
from pictures import encoded, tree

from alexnet.data.sources import open_source


def left_out(source):
    return {entry.path: (entry.cause, entry.reason) for entry in source.left_out}


def put(folder, *names, content=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(encoded() if content is None else content)


BINS = ("#recycle", "@Recycle", "$RECYCLE.BIN", ".Trash-1000", "#snapshot", ".snapshot", "lost+found", "@eaDir",
        "System Volume Information", ".thumbnails", "__MACOSX")  # fmt: skip


@pytest.mark.parametrize("name", BINS)
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_bins_snapshots_and_thumbnails_of_systems_are_no_classes(tmp_path, name, kind):
    folder = tree(tmp_path / "pets", {"cat": 4, "dog": 4, f"{name}/old": 4})
    if kind == "tar":
        with tarfile.open(tmp_path / "pets.tar", "w") as tar:
            for entry in folder.iterdir():
                tar.add(entry, entry.name)
        folder = tmp_path / "pets.tar"
    source = open_source(folder)
    assert source.classes == ("cat", "dog")
    assert left_out(source) == {name: ("bin", "a bin, snapshots or thumbnails of the system")}


def test_pictures_without_an_ending_are_known_by_their_first_bytes(tmp_path):
    tree(tmp_path, {"cat": 4})
    put(tmp_path / "bird", "image1", "image2", "photo.jpg_large", "photo.2")
    put(tmp_path / "bird", "notes", "photo.bak", content=b"seen at the lake")
    source = open_source(tmp_path)
    assert source.classes == ("bird", "cat")
    assert sum(int((listing.labels == 0).sum()) for listing in source.splits.values()) == 4
    assert set(left_out(source)) == {"bird/notes", "bird/photo.bak"}


def test_everything_that_is_no_picture_is_listed_with_its_reason(tmp_path):
    tree(tmp_path, {"cat": 4, "dog": 4})
    put(tmp_path / "cat", "drawing.svg", "list.csv", content=b"x")
    (tmp_path / "cat/lost.jpg").symlink_to("/mnt/away/lost.jpg")
    os.mkfifo(tmp_path / "dog/pipe.jpg")
    assert left_out(open_source(tmp_path)) == {
        "cat/drawing.svg": ("kind", "SVG, a drawing: export it as PNG"),
        "cat/list.csv": ("kind", "a table, not a picture"),
        "cat/lost.jpg": ("link", "a dead link to /mnt/away/lost.jpg"),
        "dog/pipe.jpg": ("special", "a pipe, which is never opened"),
    }
