"""Fetching, from a server in a thread: whole, resumed, wrong."""

import functools
import hashlib
import http.server
import threading
from dataclasses import replace

import pytest

from alexnet.errors import CheckpointError, UsageError
from alexnet.weights import public

CONTENT = bytes(range(256)) * 4000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.headers.get("Range"))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if self.server.knows_ranges else 0
        if self.path != "/net.bin" or start >= len(CONTENT):
            self.send_error(404 if self.path != "/net.bin" else 416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start + self.server.shift}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.breaks_at])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.knows_ranges, made.breaks_at, made.shift = [], True, None, 0
    thread = threading.Thread(target=functools.partial(made.serve_forever, poll_interval=0.01))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def net(server):
    """A row of the table that lies on the server."""
    url = f"http://127.0.0.1:{server.server_port}/net.bin"
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return replace(public.PUBLIC["caffenet"], url=url, bytes=None, checksum=checksum)


def test_a_file_is_fetched_once_with_progress(server, net, tmp_path):
    told = []
    path = public.get(net, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert public.get(net, tmp_path) == path
    assert len(server.asked) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["net.bin"]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_an_interrupted_fetch_goes_on(server, net, tmp_path, knows_ranges):
    server.breaks_at, server.knows_ranges = 300_000, knows_ranges
    with pytest.raises(UsageError, match="run it again to go on"):
        public.get(net, tmp_path)
    assert not (tmp_path / "net.bin").exists()
    server.breaks_at = None
    assert public.get(net, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_another_file_of_the_name_is_not_written_over(server, net, tmp_path):
    (tmp_path / "net.bin").write_bytes(b"my own")
    with pytest.raises(UsageError, match=r"net\.bin exists already and is not the published file: move it"):
        public.get(net, tmp_path)
    assert public.get(replace(net, checksum=None), tmp_path).read_bytes() == b"my own"
    assert server.asked == []


def test_a_part_that_is_whole_already_is_taken(net, tmp_path):
    (tmp_path / "net.bin.part").write_bytes(CONTENT)
    assert public.get(net, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"", b"x" * 1000, b"x" * len(CONTENT)])
def test_a_wrong_checksum_removes_what_came(net, tmp_path, part):
    (tmp_path / "net.bin.part").write_bytes(part)
    wrong = net if part else replace(net, checksum=f"sha1:{'0' * 40}")
    with pytest.raises(CheckpointError, match="is not the published file"):
        public.get(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_size_than_published_is_not_fetched(net, tmp_path):
    with pytest.raises(CheckpointError, match="has 1,024,000 bytes, expected at most 1,000; not fetched"):
        public.get(replace(net, bytes=1000), tmp_path)


def test_a_server_that_sends_another_part_is_refused(server, net, tmp_path):
    (tmp_path / "net.bin.part").write_bytes(CONTENT[:1000])
    server.shift = 7
    with pytest.raises(CheckpointError, match="another part"):
        public.get(net, tmp_path)


def test_a_server_that_is_not_there_and_a_wrong_address_are_one_line(net, tmp_path):
    for url, told in (
        (net.url + "x", "answers 404"),
        ("http://127.0.0.1:1/a", "cannot be fetched"),
        ("file:///a", "web"),
    ):
        with pytest.raises(UsageError, match=told):
            public.get(replace(net, url=url), tmp_path)


def test_a_given_file_is_checked_and_kept(net, tmp_path, server):
    (tmp_path / "mine").write_bytes(CONTENT)
    assert public.get(net, tmp_path / "cache", tmp_path / "mine").read_bytes() == CONTENT
    (tmp_path / "mine").write_bytes(CONTENT[1:])
    with pytest.raises(CheckpointError, match="mine is not the published file"):
        public.get(net, tmp_path / "other", tmp_path / "mine")
    assert server.asked == []


def test_every_row_says_where_its_facts_come_from():
    for name, row in public.PUBLIC.items():
        assert row.url.startswith("http"), name
        assert row.source, name
        assert (row.top1_error is None) == (row.protocol is None), name
