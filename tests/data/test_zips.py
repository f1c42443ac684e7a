"""Zip files as sources: read as they are, and refused where they are forged."""

import io
import struct
import zipfile

import pytest
from pictures import encoded

from alexnet.data import zips
from alexnet.data.sources import open_source
from alexnet.errors import DataError


def packed(path, names, method=zipfile.ZIP_DEFLATED, content=None):
    with zipfile.ZipFile(path, "w", method) as file:
        for name in names:
            file.writestr(name, encoded() if content is None else content)
    return path


PETS = [f"pets/{name}/{i}.jpg" for name in ("cat", "dog") for i in range(4)]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_is_read_as_it_is(tmp_path, method):
    path = packed(tmp_path / "pets.zip", [*PETS, "pets/README.md", "__MACOSX/pets/cat/._0.jpg"], method)
    source = open_source(path, draw="names")
    assert (source.name, source.kind, source.classes) == ("pets", "zip", ("cat", "dog"))
    assert {split: len(listing) for split, listing in source.splits.items()} == {"train": 6, "val": 2}
    assert all(listing.read(i) == encoded() for listing in source.splits.values() for i in range(len(listing)))
    assert source.ignored == ["pets/README.md", "__MACOSX"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["pets.zip"]


def test_names_with_the_slashes_of_windows_are_read(tmp_path):
    path = packed(tmp_path / "pets.zip", ["x"])
    content = path.read_bytes()
    with zipfile.ZipFile(path, "w") as file:
        for name in PETS:
            member = zipfile.ZipInfo("x")
            member.filename = name.replace("/", "\\")
            file.writestr(member, encoded())
    assert content
    assert open_source(path).classes == ("cat", "dog")


def test_a_damaged_picture_in_a_zip_file_is_an_error_when_it_is_read(tmp_path):
    path = packed(tmp_path / "pets.zip", PETS, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8") + 300] ^= 1
    path.write_bytes(data)
    source = open_source(path, draw="names")
    with pytest.raises(OSError, match="damaged at byte 0"):
        [listing.read(i) for listing in source.splits.values() for i in range(len(listing))]


def test_a_zip_file_that_is_cut_is_refused(tmp_path):
    path = packed(tmp_path / "pets.zip", PETS)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"pets\.zip"):
        open_source(path)


def test_an_encrypted_zip_file_is_refused(tmp_path):
    path = packed(tmp_path / "pets.zip", PETS)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\1\2")
    data[start + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted: unpack it"):
        open_source(path)


def test_members_that_overlap_are_refused(tmp_path):
    path = packed(tmp_path / "pets.zip", PETS)
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\1\2", data.index(b"PK\1\2") + 4)
    struct.pack_into("<I", data, second + 42, 0)  # the second member is the first once more
    path.write_bytes(data)
    with pytest.raises(DataError, match="overlap"):
        open_source(path)


def test_a_member_that_unpacks_to_very_much_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "LARGEST", 1000)
    path = packed(
        tmp_path / "pets.zip", [f"{name}/{i}.jpg" for name in "ab" for i in range(3)], content=b"\xff\xd8\xff"
    )
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/bomb.jpg", bytes(10_000_000))
    (entry,) = open_source(path).left_out
    assert (entry.path, entry.cause) == ("a/bomb.jpg", "special")
    assert entry.reason.startswith("10,000,000 bytes unpacked")


def test_a_member_longer_than_it_says_is_damaged(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in PETS:
            file.writestr(name, bytes(100_000))
    data = bytearray(buffer.getvalue())
    start = -1
    for _ in PETS:
        start = data.index(b"PK\1\2", start + 1)
        struct.pack_into("<I", data, start + 24, 50)
    (tmp_path / "pets.zip").write_bytes(data)
    listing = open_source(tmp_path / "pets.zip", draw="names").splits["train"]
    with pytest.raises(OSError, match="damaged"):
        listing.read(0)
