"""The page: what the folder holds, and what a real browser shows of it."""

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from alexnet import load
from alexnet.data import decode
from alexnet.errors import UsageError
from alexnet.exports import browser
from alexnet.exports.export import Plan, export
from alexnet.exports.parity import samples

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def classifier(run):
    return load(run, numbers="float32")


@pytest.fixture
def runtime(tmp_path):
    """A folder that looks like the npm package."""
    for name in browser.FILES:
        (tmp_path / "package" / "dist" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "package" / "dist" / name).write_bytes(b"x")
    return tmp_path / "package"


def test_the_folder_holds_all_that_the_page_needs(run, classifier, runtime, tmp_path):
    out = tmp_path / "page"
    exported = export(classifier, Plan("browser", runtime=runtime), out, samples(run, None))
    assert {path.name for path in out.iterdir()} == {*browser.FILES, browser.NETWORK, browser.PAGE, browser.LICENCE}
    assert exported.bytes == sum(path.stat().st_size for path in out.iterdir())
    assert exported.rounded.error < 0.05
    page = (out / browser.PAGE).read_text(encoding="utf-8")
    assert not re.findall(r"https?://(?!localhost)", page)
    assert f'"bytes": {exported.network_bytes}' in page
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("page")] == ["page"]


def test_two_classes_of_the_same_words_keep_their_ids(classifier):
    cranes = replace(classifier, header=structs.replace(classifier.header, classes=("n02012849", "x", "n03126707")))
    assert '["n02012849 crane", "x", "n03126707 crane"]' in browser.page(cranes, 1)


def test_names_cannot_break_out_of_the_page(classifier):
    header = structs.replace(classifier.header, classes=("</script><b>", "n01440764", "$x"))
    page = browser.page(replace(classifier, header=header), 5)
    assert page.count("</script>") == 3
    assert "tench" in page
    assert '"$x"' in page


def test_a_runtime_that_cannot_be_had_is_told_and_leaves_nothing(run, classifier, tmp_path, monkeypatch):
    out = tmp_path / "page"

    def ask(runtime=None):
        with pytest.raises(UsageError) as caught:
            export(classifier, Plan("browser", runtime=runtime), out, samples(run, None))
        assert not list(tmp_path.iterdir())
        return str(caught.value)

    assert "does not hold ort.wasm.min.js" in ask(tmp_path)
    monkeypatch.setattr(browser.shutil, "which", lambda name: None)
    assert "npm is not installed" in ask()
    monkeypatch.setattr(browser.shutil, "which", lambda name: "/bin/false")
    assert "npm could not fetch" in ask()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(tmp_path):
    """Serves `tmp_path / "page"`."""
    handler = functools.partial(Quiet, directory=str(tmp_path / "page"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def show(address, tmp_path):
    """A function that opens an address in Chromium and gives the page as it then stands."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    quiet = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
    flags = [f"--{flag}" for flag in (*quiet.split(), "disable-component-update", "dump-dom", "timeout=60000")]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=1000000000"]

    def open_page(path):
        ended = subprocess.run([chromium, *flags, f"{address}/{path}"], capture_output=True, text=True, timeout=120)
        return ended.stdout

    return open_page


def web_runtime():
    """Gives the folder of onnxruntime-web where one is, since a test fetches nothing."""
    place = os.environ.get("ONNXRUNTIME_WEB")
    if place is None:
        pytest.skip("ONNXRUNTIME_WEB does not name a folder with the npm package onnxruntime-web")
    return Path(place)


@pytest.mark.slow
@pytest.mark.parametrize("int8", [False, True])
def test_a_browser_names_a_picture_as_we_do(run, classifier, store, pictures, tmp_path, show, int8):
    out = tmp_path / "page"
    export(classifier, Plan("browser", int8=int8, runtime=web_runtime()), out, samples(run, None), store=store)
    picture = next((pictures / "val" / "red").iterdir())
    shutil.copyfile(picture, out / "a.jpg")
    shown = show(f"{browser.PAGE}?picture=a.jpg")
    names = re.findall(r'class="name">([^<]*)</span><span>([\d.]+) %', shown)
    stored = decode.load(picture.read_bytes(), "a", classifier.stored_size)
    expected = dict(zip(classifier.classes, 100 * classifier.probabilities(stored[None])[0], strict=True))
    assert {name for name, _ in names} == set(expected), shown
    for name, percent in names:
        assert float(percent) == pytest.approx(expected[name], abs=10 if int8 else 2)
