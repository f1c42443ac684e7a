"""The page and the client before the service itself, with a network of three classes."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest

for needed in ("starlette", "uvicorn"):
    pytest.importorskip(needed, reason="the extra `serve` is not installed")

MAIN = "import sys\nfrom alexnet.cli import main\nmain(sys.argv[1:])\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The folder of corrections."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="module")
def address(toy_script, run, kept, index):
    words = [
        "serve",
        run,
        "--port",
        "0",
        "--index",
        index,
        "--precision",
        "float32",
        "--corrections",
        kept,
        "--drain",
        "0",
    ]
    command = [sys.executable, toy_script(MAIN), *map(str, words)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("serving "):
                break
        assert any(" at http://" in line for line in lines), lines
        yield lines[-1].split()[-1]
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def picture(pictures):
    return next((pictures / "val" / "red").iterdir())


@pytest.mark.slow
def test_the_page_shows_the_numbers_of_the_service_and_keeps_a_correction(address, kept, picture, visit):
    page = visit(address)
    page.get_by_text("Ready.").wait_for()
    page.locator("#file").set_input_files(picture)
    page.locator(".guesses li").first.wait_for()
    rows = [tuple(row.locator("span").all_inner_texts()) for row in page.locator(".guesses li").all()]
    with urllib.request.urlopen(urllib.request.Request(f"{address}/predict", picture.read_bytes())) as answer:
        guesses = json.load(answer)["pictures"][0]["guesses"]
    assert rows == [(guess["label"], f"{100 * guess['probability']:.1f} %") for guess in guesses]
    assert len(rows) == 3
    page.get_by_text("Where it looks", exact=True).click()
    page.locator(".map .passed, .map .trouble").wait_for()
    page.get_by_text("What each layer makes of it").click()
    assert page.locator(".maps img").first.get_attribute("src").startswith("data:image/png;base64,")
    page.get_by_text("Is this wrong?").click()
    page.get_by_label("It shows").fill("blue")
    page.get_by_role("button", name="Report").click()
    page.get_by_text("Noted as “blue”.").wait_for()
    assert (kept / "corrections.csv").read_text().endswith(".jpeg,blue\n")
    page.get_by_text("Most alike in the training data").click()
    page.locator(".gallery li").first.wait_for()
    captions = page.locator(".gallery figcaption").all_inner_texts()
    assert len(captions) == 10
    assert re.fullmatch(r"red\ndistance 0\.\d\d", captions[0])
    thumbnails = page.locator(".gallery img")
    assert thumbnails.first.get_attribute("title") == f"red/{picture.name}"
    assert thumbnails.first.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")


@pytest.mark.slow
def test_predict_prints_the_same_by_the_service_as_without_it(address, alexnet, run, pictures):
    answers = [
        json.loads(alexnet("predict", run, pictures / "val", "--json", "--views", "10", *more)[1])["images"]
        for more in (("--precision", "float32"), ("--server", address))
    ]
    assert answers[0] == answers[1]
    assert len(answers[0]) == 9
