from dataclasses import replace
from pathlib import Path

import pytest
from pictures import encoded, tree

from alexnet.data.sources import open_source
from alexnet.data.store import cache_directory, open_store


@pytest.fixture
def source(small):
    return open_source(small)


def packed_again(done, total):
    pytest.fail("was packed again")


def test_a_source_is_packed_into_the_cache_once(small, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    told = []
    first = open_store(small, size=16, progress=lambda done, total: told.append(done))
    assert told
    assert first.directory == cache_directory(open_source(small), 16)
    assert first.directory.parent == tmp_path / "cache"
    assert open_store(small, size=16, progress=packed_again).content_hash == first.content_hash
    assert open_store(first.directory, progress=packed_again).content_hash == first.content_hash


def test_the_cache_keeps_apart_what_differs(small, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    flat = tree(tmp_path / "flat", {"a": 8, "b": 8})
    places = [cache_directory(open_source(flat, seed=seed), size) for seed in (0, 1) for size in (16, 32)]
    (flat / "a/0000.jpg").write_bytes(encoded(quality=30))
    places.append(cache_directory(open_source(flat), 16))
    flat.rename(tmp_path / "moved")
    places.append(cache_directory(open_source(tmp_path / "moved"), 16))
    assert len(set(places)) == 6


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("solar-cells", "solar-cells"),
        ("café_2.1", "café_2.1"),
        ("../../x", "_._.._x"),
        ("..", "_."),
        (".hidden", "_hidden"),
        ("a/b\\c\n\ud800", "a_b_c__"),
        ("x" * 300, "x" * 60),
    ],
)
def test_no_name_leaves_the_cache(source, tmp_path, monkeypatch, name, kept):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    place = cache_directory(replace(source, name=name), 16)
    ordinary = cache_directory(source, 16)
    assert place.parent == tmp_path / "cache"
    assert place.name == kept + ordinary.name.removeprefix("pets")
    place.mkdir(parents=True)


def test_a_folder_with_the_manifest_of_another_program_is_a_source(small, tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    (small / "dataset.json").write_text('{"version": 1, "format": "coco", "name": "pets"}')
    assert open_store(small, size=16).name == "pets"


def test_the_cache_lies_at_home_by_default(source, monkeypatch):
    monkeypatch.delenv("ALEXNET_CACHE", raising=False)
    assert cache_directory(source).parent == Path.home() / ".cache/alexnet"
