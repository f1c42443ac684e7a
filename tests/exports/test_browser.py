"""The page: what the folder holds, and what a real browser shows of it."""

import base64
import functools
import http.server
import io
import json
import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from alexnet import load
from alexnet.data import decode
from alexnet.data.augment import margin
from alexnet.errors import UsageError
from alexnet.explaining.explain import Drawn, preprocessed
from alexnet.explaining.maps import drawer
from alexnet.exports import browser
from alexnet.exports.export import Plan, export
from alexnet.exports.parity import samples
from alexnet.records import Metrics

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
    names = {path.name for path in out.iterdir()}
    assert {*browser.FILES, browser.NETWORK, browser.FACTS, browser.PAGE, browser.LICENCE, "README.md"} <= names
    assert exported.bytes == sum(path.stat().st_size for path in out.iterdir())
    assert exported.rounded.error < 0.05
    texts = {path.name: path.read_text(encoding="utf-8") for path in out.glob("*.[hjc]*") if "ort" not in path.name}
    for name, text in texts.items():
        assert not re.findall(r"https?://(?!localhost)", text), name
        assert set(re.findall(r"""(?:from|src=|href=)\s?"([\w.-]+\.\w+)""", text)) <= names, name
    assert 'data-engine="browser"' in texts[browser.PAGE]
    assert json.loads(texts[browser.FACTS])["bytes"] == exported.network_bytes
    assert "Cross-Origin-Embedder-Policy: require-corp" in (out / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("page")] == ["page"]


def test_the_page_states_the_error_of_the_weights_with_its_interval(classifier):
    metrics = Metrics(top1_error=0.25, top5_error=0.0, n=100, views=1, split="val")
    measured = replace(classifier, header=structs.replace(classifier.header, metrics=metrics))
    error = json.loads(browser.facts(measured, 1))["error"]
    assert error == pytest.approx(
        {"top1": 0.25, "low": 0.1755, "high": 0.343, "split": "val", "pictures": 100}, abs=1e-4
    )
    unmeasured = replace(classifier, header=structs.replace(classifier.header, metrics=None))
    assert json.loads(browser.facts(unmeasured, 1))["error"] is None


def test_two_classes_of_the_same_words_keep_their_ids(classifier):
    cranes = replace(classifier, header=structs.replace(classifier.header, classes=("n02012849", "x", "n03126707")))
    assert json.loads(browser.facts(cranes, 1))["classes"] == ["n02012849 crane", "x", "n03126707 crane"]


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


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; with the headers that give a page threads where `is_isolated`."""

    is_isolated = False

    def log_message(self, *arguments):
        pass

    def end_headers(self):
        if self.is_isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@pytest.fixture
def serve(tmp_path):
    """A function that serves `tmp_path / "page"` and gives its address."""
    servers = []

    def start(is_isolated=False):
        kind = type("OwnHandler", (Handler,), {"is_isolated": is_isolated})
        handler = functools.partial(kind, directory=str(tmp_path / "page"))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def web_runtime():
    """Gives the folder of onnxruntime-web where one is, since a test fetches nothing."""
    place = os.environ.get("ONNXRUNTIME_WEB")
    if place is None:
        pytest.skip("ONNXRUNTIME_WEB does not name a folder with the npm package onnxruntime-web")
    return Path(place)


@pytest.mark.slow
@pytest.mark.parametrize(("int8", "is_isolated"), [(False, False), (False, True), (True, False)])
def test_a_browser_names_a_picture_as_we_do(
    run, classifier, store, pictures, tmp_path, serve, visit, int8, is_isolated
):
    out = tmp_path / "page"
    export(classifier, Plan("browser", int8=int8, runtime=web_runtime()), out, samples(run, None), store=store)
    picture = next((pictures / "val" / "red").iterdir())
    shutil.copyfile(picture, out / "a.jpg")
    page = visit(f"{serve(is_isolated)}/{browser.PAGE}?picture=a.jpg")
    page.locator(".guesses li").first.wait_for()
    rows = [row.locator("span").all_inner_texts() for row in page.locator(".guesses li").all()]
    stored = decode.load(picture.read_bytes(), "a", classifier.stored_size)
    expected = dict(zip(classifier.classes, 100 * classifier.probabilities(stored[None])[0], strict=True))
    assert {name for name, _ in rows} == set(expected)
    for name, percent in rows:
        assert float(percent.removesuffix(" %")) == pytest.approx(expected[name], abs=10 if int8 else 2)
    assert page.evaluate("[crossOriginIsolated, ort.env.wasm.numThreads > 1]") == [is_isolated] * 2


@pytest.mark.slow
def test_a_browser_draws_where_the_network_looks_as_we_do(run, classifier, pictures, tmp_path, serve, visit):
    export(classifier, Plan("browser", runtime=web_runtime()), tmp_path / "page", samples(run, None))
    picture = next((pictures / "val" / "red").iterdir())
    shutil.copyfile(picture, tmp_path / "page" / "a.jpg")
    page = visit(f"{serve()}/{browser.PAGE}?picture=a.jpg")
    page.get_by_text("Where it looks", exact=True).click()
    drawn = page.locator(".map img")
    drawn.wait_for()
    shown = np.asarray(
        Image.open(io.BytesIO(base64.b64decode(drawn.get_attribute("src").split(",")[1]))).convert("RGB")
    )
    stored = decode.load(picture.read_bytes(), "a", classifier.stored_size)
    image, gray = preprocessed(classifier, stored), preprocessed(classifier, np.full_like(stored, 128))
    label = int(classifier.probabilities(stored[None])[0].argmax())
    coarse = drawer("occlusion", lambda _: gray, coarse=True)(classifier.model, image, label).numpy()
    edge = margin(len(stored), len(image[0]))
    seen = stored[edge : edge + len(coarse), edge : edge + len(coarse)]
    expected = np.asarray(Image.open(io.BytesIO(Drawn(None, coarse, seen).overlaid())))
    assert np.abs(shown.astype(float) - expected).mean() < 8


@pytest.mark.slow
def test_a_name_is_shown_as_text_and_what_needs_a_server_is_not_offered(classifier, run, tmp_path, serve, visit):
    header = structs.replace(classifier.header, classes=("</script><b>", "<img src=x>", "$x"))
    named = replace(classifier, header=header)
    export(named, Plan("browser", runtime=web_runtime()), tmp_path / "page", samples(run, None))
    (tmp_path / "page" / "a.png").write_bytes(Drawn(None, None, np.zeros((90, 90, 3), np.uint8)).picture())
    page = visit(f"{serve()}/{browser.PAGE}?picture=a.png")
    page.locator(".guesses li").first.wait_for()
    assert set(page.locator(".who").all_inner_texts()) == set(header.classes)
    assert page.locator("summary:visible").all_inner_texts() == ["Where it looks"]
    assert not page.get_by_label("Ten views").is_visible()
    assert "on the page of alexnet serve" in page.locator("#place").inner_text()
