"""Stores at an address: the same pictures, whatever the network does."""

import json
import os
import re
import shutil
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from damage import unsealed
from faulty import Faulty

from alexnet.config import to_json
from alexnet.data import commit, remote
from alexnet.data.open import open_data
from alexnet.data.pack import pack
from alexnet.data.pictures import Pictures
from alexnet.data.sources import open_source
from alexnet.data.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.recipes import MODERN


@pytest.fixture(scope="module")
def local(pictures, tmp_path_factory):
    """18 training pictures in five shards, 9 of validation in three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "EXAMPLES_PER_SHARD", 4)
        return pack(open_source(pictures), tmp_path_factory.mktemp("remote") / "store", size=16)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.001)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "cache" / "remote"


@pytest.fixture
def server(local):
    with Faulty(local.directory).running() as server:
        yield server


def assert_same_pictures(store, local):
    for name, split in local.splits.items():
        indices = np.random.default_rng(0).permutation(len(split))
        pictures = Pictures(store.splits[name], store.size, memory_budget=0)
        assert np.array_equal(pictures.read(indices), [split.read(int(i)) for i in indices])
        pictures.close()
        assert store.splits[name].labels.tolist() == split.labels.tolist()
        assert [store.splits[name].name(i) for i in indices] == [split.name(i) for i in indices]
    assert store.content_hash == local.content_hash


def cached(folder):
    return {path.name for path in folder.glob("*/*.tar")}


def shards(store):
    return {name for name in store.files if name.endswith(".tar")}


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("gives_parts", [True, False])
@pytest.mark.parametrize("failures", [0.0, 0.3])
def test_an_address_gives_the_pictures_of_the_folder(local, server, own_cache, gives_parts, failures):
    server.gives_parts, server.failures = gives_parts, failures
    store = open_data(server.address)
    assert_same_pictures(store, local)
    wait_for(lambda: cached(own_cache) == shards(local))
    asked = len(server.asked)
    assert_same_pictures(store, local)
    assert len(server.asked) == asked


def test_a_server_cannot_write_beside_the_cache(local, own_cache, tmp_path):
    hostile = shutil.copytree(local.directory, tmp_path / "hostile")
    manifest = unsealed((hostile / "dataset.json").read_text())
    manifest["files"]["../../../evil"] = {"bytes": 4, "blake2b": "0"}
    (hostile / "dataset.json").write_text(json.dumps(manifest))
    with Faulty(hostile).running() as server, pytest.raises(DataError, match="incomplete"):
        open_data(server.address)
    assert not (tmp_path / "evil").exists()


def test_an_object_store_gives_the_pictures_of_the_folder(local, own_cache):
    import fsspec

    bucket = fsspec.filesystem("memory")
    for path in local.directory.iterdir():
        bucket.pipe_file(f"/bucket/colours/{path.name}", path.read_bytes())
    store = open_data("memory://bucket/colours/")
    assert_same_pictures(store, local)
    wait_for(lambda: cached(own_cache) == shards(local))
    bucket.rm_file("/bucket/colours/train.names")
    with pytest.raises(DataError, match=r"memory://bucket/other/dataset\.json is missing"):
        open_data("memory://bucket/other")


def test_the_cache_keeps_to_its_budget_and_exchanges_nothing(local, server, own_cache, monkeypatch):
    sizes = [file.length for name, file in local.files.items() if name.endswith(".tar")]
    monkeypatch.setenv("ALEXNET_CACHE_GB", str((sum(sizes[:3]) + 10) / 1e9))
    store = open_data(server.address)
    for _ in range(3):
        assert_same_pictures(store, local)
    wait_for(lambda: not store.splits["train"]._shards._filler.is_alive())
    whole = [name for name, part in server.asked if name.endswith(".tar") and part is None]
    assert sorted(whole) == sorted(cached(own_cache)) == sorted(shards(local))[:3]


def test_shards_of_other_stores_make_room_the_longest_unused_first(local, server, own_cache, monkeypatch):
    sizes = [file.length for name, file in local.files.items() if name.endswith(".tar")]
    (own_cache / "other").mkdir(parents=True)
    for age, name in ((500, "b"), (1000, "a"), (-1000, "used")):
        path = own_cache / "other" / f"{name}.tar"
        path.write_bytes(bytes(sizes[0]))
        os.utime(path, (time.time() - age,) * 2)
    monkeypatch.setenv("ALEXNET_CACHE_GB", str(3 * sizes[0] / 1e9))
    store = open_data(server.address)
    assert store.splits["train"].read(0).shape == (16, 16, 3)
    wait_for(lambda: not store.splits["train"]._shards._filler.is_alive())
    assert {"used.tar", "train-000000.tar"} <= cached(own_cache)
    assert "a.tar" not in cached(own_cache)


def test_without_parts_a_store_beyond_the_budget_is_refused(server, monkeypatch):
    server.gives_parts = False
    monkeypatch.setenv("ALEXNET_CACHE_GB", "1e-6")
    with pytest.raises(DataError, match=r"gives no parts of files .* exceed .* set ALEXNET_CACHE_GB higher"):
        open_data(server.address)


def test_a_budget_that_is_no_number_is_refused(server, monkeypatch):
    monkeypatch.setenv("ALEXNET_CACHE_GB", "plenty")
    with pytest.raises(UsageError, match="ALEXNET_CACHE_GB takes a number of gigabytes, got 'plenty'"):
        open_data(server.address)


def test_several_programs_fetch_each_shard_once(local, server, own_cache):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(open_data, [server.address] * 4))
        list(pool.map(lambda store: assert_same_pictures(store, local), stores))
    wait_for(lambda: cached(own_cache) == shards(local))
    whole = [name for name, part in server.asked if part is None and name != "dataset.json"]
    assert len(whole) == len(set(whole))


def test_a_changed_store_shares_nothing_with_the_old_one(local, server, own_cache, tmp_path, pictures):
    before = open_data(server.address)
    server.folder = pack(open_source(pictures), tmp_path / "other", size=17).directory
    after = open_data(server.address)
    assert before.directory != after.directory
    assert_same_pictures(after, Store(server.folder))


@pytest.mark.parametrize("gives_parts", [True, False])
def test_a_truncated_shard_is_named(server, monkeypatch, gives_parts):
    server.gives_parts = gives_parts
    server.harmed["train-000001.tar"] = lambda content: content[:600]
    monkeypatch.setattr(remote, "TRIES", 3)
    store = open_data(server.address)
    with pytest.raises(
        DataError, match=r"127.*/train-000001\.tar is truncated or damaged, 3 times: copy it there again"
    ):
        store.splits["train"].read(5)


def test_a_shard_with_a_flipped_bit_never_gets_into_the_cache_and_stops_the_run(server, own_cache, monkeypatch):
    server.harmed["train-000000.tar"] = lambda content: content[:-1] + b"x"
    monkeypatch.setattr(remote, "TRIES", 3)
    split = open_data(server.address).splits["train"]
    split.read(0)
    wait_for(lambda: not split._shards._filler.is_alive())
    with pytest.raises(DataError, match=r"train-000000\.tar is truncated or damaged"):
        split.read(9)
    assert cached(own_cache) == set()


def test_a_half_fetched_shard_is_never_seen(server, own_cache, monkeypatch):
    monkeypatch.setattr(remote, "TRIES", 1)
    server.gives_parts = False
    store = open_data(server.address)
    server.failures = 1.0
    for _ in range(4):
        with pytest.raises(DataError):
            store.splits["train"].read(0)
        assert cached(own_cache) == set()
    server.failures = 0.0
    assert store.splits["train"].read(0).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (404, "is missing"),
        (403, r"may not be read \(HTTP 403 .*\): check the cred"),
        (500, r"cannot be reached \(HTTP 5"),
    ],
)
def test_an_answer_that_is_no_file_is_said(server, status, told):
    server.harmed["dataset.json"] = lambda content: status
    with pytest.raises(DataError, match=rf"/dataset\.json {told}"):
        open_data(server.address)
    assert len(server.asked) == (remote.TRIES if status == 500 else 1)


def test_an_address_without_a_server_is_said(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(DataError, match=r"cannot be reached \(.*refused\), 8 times: check address and network"):
            open_data(f"http://127.0.0.1:{free.getsockname()[1]}")


def test_a_silent_server_is_waited_for_only_so_long(monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(remote, "TRIES", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DataError, match=r"timed out\), 2 times"):
        open_data(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_server_that_comes_back_is_picked_up(local, monkeypatch):
    monkeypatch.setattr(remote, "FIRST_WAIT_S", 0.05)
    with Faulty(local.directory).running() as server:
        store, port = open_data(server.address), server.server_port
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(store.splits["train"].read, 0)
        time.sleep(0.1)
        with Faulty(local.directory, port=port).running():
            assert np.array_equal(read.result(), local.splits["train"].read(0))
            wait_for(lambda: not store.splits["train"]._shards._filler.is_alive())


def test_a_proxy_of_the_environment_is_asked_for_a_store_on_http(local, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    assert_same_pictures(open_data("http://nowhere.invalid/"), local)


def test_a_proxy_of_the_environment_is_asked_for_a_tunnel_to_a_store_on_https(server, monkeypatch):
    monkeypatch.setattr(remote, "TRIES", 1)
    monkeypatch.setenv("https_proxy", server.address.replace("//", "//user:pass%40word@"))
    with pytest.raises(DataError, match=r"https://nowhere\.invalid/dataset\.json cannot be reached \(.*403"):
        open_data("https://nowhere.invalid")
    assert server.tunnels == [("nowhere.invalid:443", "Basic dXNlcjpwYXNzQHdvcmQ=")]


def test_an_address_without_proxy_is_asked_directly(local, server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert_same_pictures(open_data(server.address), local)


@pytest.mark.parametrize("proxy", ["gopher://127.0.0.1", "http://[", "127.0.0.1:1"])
def test_a_proxy_that_cannot_serve_is_one_line(server, monkeypatch, proxy):
    monkeypatch.setattr(remote, "TRIES", 1)
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(DataError, match=r"dataset\.json cannot be reached \(.*\), 1 times: check address and network"):
        open_data("http://nowhere.invalid")


def test_endless_redirections_are_given_up(server):
    with pytest.raises(DataError, match=r"dataset\.json cannot be reached \(HTTP 302 "):
        open_data(f"{server.address}/endless")


def test_redirections_are_followed(local, server):
    assert_same_pictures(open_data(f"{server.address}/moved"), local)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("gopher://host/store", "is of no known kind .*: give a path, https://"),
        ("s3://b/store", r"pip install 'alexnet\["),
    ],
)
def test_an_address_that_cannot_be_served_is_refused(address, told, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(UsageError, match=told):
        open_data(address)


def test_training_over_a_bad_network_gives_the_weights_of_the_disk(run, settings, store, tmp_path):
    from safetensors.torch import load_file

    from alexnet.run import Run
    from alexnet.training.loop import begin

    with Faulty(store.directory, latency_s=0.02, failures=0.1).running() as server:
        opened = open_data(server.address)
        with begin(settings, opened, server.address, Run(tmp_path / "run")) as training:
            assert training.run()
    ours, theirs = load_file(tmp_path / "run/last.safetensors"), load_file(run / "last.safetensors")
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)


def team_of_two(address, folder):
    """One epoch of 18 pictures in three steps, nothing cached."""
    settings = replace(MODERN, variant="toy", input_size=67, precision="float32", batch_size=6, steps=3)
    how = {"mode": "data", "world": 2, "environment": {"ALEXNET_CACHE_GB": "0"}}
    return {"settings": to_json(settings), "store": address, "folder": str(folder), **how}


def test_processes_fetch_each_picture_once_an_epoch(teams, store, tmp_path):
    with Faulty(store.directory).running() as server:
        [(codes, told)] = teams([team_of_two(server.address, tmp_path / "run")])
    assert codes == [0, 0], told
    parts = [part for name, part in server.asked if name.startswith("train-") and part not in (None, "bytes=0-0")]
    assert len(parts) == len(set(parts)) == 18


def test_a_truncated_shard_is_said_by_one_process_and_ends_both(teams, store, tmp_path):
    with Faulty(store.directory).running() as server:
        server.harmed["train-000000.tar"] = lambda content: content[: len(content) // 2]
        [(codes, told)] = teams([team_of_two(server.address, tmp_path / "run")])
    assert codes == [2, 2]
    assert re.fullmatch(r"\S+/train-000000\.tar is truncated or damaged, 8 times: .*, then resume\n", told), told


def test_no_thread_is_left_when_all_is_cached(server, local, own_cache):
    open_data(server.address).splits["train"].read(0)
    wait_for(lambda: cached(own_cache) == shards(local))
    wait_for(lambda: "fill" not in {thread.name for thread in threading.enumerate()})
