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


def test_the_cache_lies_at_home_by_default(source, monkeypatch):
    monkeypatch.delenv("ALEXNET_CACHE", raising=False)
    assert cache_directory(source).parent == Path.home() / ".cache/alexnet"
