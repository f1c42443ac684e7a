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


def forged(path, offset=None, packed=None):
    """Gives the first member of a zip file another place and packed length, in the 64 bits of zip64."""
    data = bytearray(path.read_bytes())
    at, numbers = data.index(b"PK\1\2"), b""
    for place, number in ((20, packed), (42, offset)):
        if number is not None:
            data[at + place : at + place + 4] = b"\xff" * 4
            numbers += struct.pack("<Q", number)
    name, extra = struct.unpack_from("<H", data, at + 28)[0], struct.pack("<HH", 1, len(numbers)) + numbers
    struct.pack_into("<H", data, at + 30, len(extra))
    data[at + 46 + name : at + 46 + name] = extra
    end = data.rindex(b"PK\5\6")
    struct.pack_into("<I", data, end + 12, struct.unpack_from("<I", data, end + 12)[0] + len(extra))
    path.write_bytes(data)


@pytest.mark.parametrize(
    "numbers",
    [
        {"offset": (1 << 64) - 1},
        {"offset": 1 << 62},
        {"packed": (1 << 64) - 1},
        {"packed": (1 << 63) - 1},
        {"offset": (1 << 63) - 1, "packed": (1 << 63) - 1},
    ],
    ids=str,
)
def test_a_member_beyond_the_end_is_refused(tmp_path, numbers):
    path = packed(tmp_path / "pets.zip", PETS)
    forged(path, **numbers)
    with pytest.raises(DataError, match=r"pets\.zip .*fetch it again"):
        open_source(path)


def test_a_file_without_an_ending_that_begins_beyond_the_end_is_damage(tmp_path):
    path = packed(tmp_path / "pets.zip", [*PETS, "pets/cat/noname"])
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, data.rindex(b"PK\3\4") + 28, 0xFFFF)  # what is added to its name
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"pets\.zip is damaged .*fetch it again"):
        open_source(path)


def test_a_member_without_a_name_is_damage(tmp_path):
    path = packed(tmp_path / "pets.zip", [*PETS, "%"])
    path.write_bytes(path.read_bytes().replace(b"%", b"\0"))
    with pytest.raises(DataError, match=r"pets\.zip is damaged .*fetch it again"):
        open_source(path)


def test_a_damaged_table_in_a_zip_file_is_an_error_in_one_line(tmp_path):
    path = packed(tmp_path / "pets.zip", PETS)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("pets/metadata.csv", "file_name,label\n" * 100)
    data = bytearray(path.read_bytes())
    data[data.index(b"metadata.csv") + len(b"metadata.csv")] ^= 7  # its first packed byte
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"pets/metadata\.csv in .*pets\.zip cannot be read .*fetch it again"):
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
