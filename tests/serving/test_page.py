"""The page in a real Chromium, before a stand-in for the service that answers as its contract says."""

import base64
import http.server
import io
import json
import re
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

import alexnet

PAGE = Path(alexnet.__file__).parent / "serving" / "page"
KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript"}
POLICY = "default-src 'self'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'"
CLASSES = [
    "teapot",
    "gold </script><b>fish",
    "lighthouse",
    "a class of a name so long that it must be broken somewhere",
]
CHANCES = {1: [0.714, 0.2031, 0.0526, 0.03], 10: [0.8126, 0.1, 0.05, 0.0375]}
ERROR = {"top1": 0.432, "low": 0.422, "high": 0.442, "split": "val", "pictures": 10_000}


def png(side=48, hue=(200, 120, 40)):
    """A made-up picture: a disc on a slope of light."""
    y, x = np.mgrid[:side, :side] / side
    pixels = np.stack([80 + 120 * y, 120 + 60 * x, 190 - 90 * y], 2)
    pixels[(x - 0.5) ** 2 + (y - 0.55) ** 2 < 0.09] = hue
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def uri(side=48, hue=(200, 120, 40)):
    return f"data:image/png;base64,{base64.b64encode(png(side, hue)).decode()}"


def guesses(views, top=5):
    chances = CHANCES[views][:top]
    return [{"class": f"n{i}", "label": CLASSES[i], "probability": chance} for i, chance in enumerate(chances)]


class Service(http.server.BaseHTTPRequestHandler):
    """Answers as the service does; its class attributes say what goes wrong."""

    token = None
    refusals = ()  # (status, Retry-After), one a request
    is_unsure = False
    requests = ()  # (path, query, content)

    def log_message(self, *arguments):
        pass

    def answer(self, content, kind="application/json", status=200, **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/models":
            return self.is_let_in() and self.answer(self.models())
        file = PAGE / (path.strip("/") or "index.html")
        if file.parent != PAGE or not file.is_file():
            return self.answer({"error": "there is no such page"}, status=404)
        self.answer(file.read_bytes(), KINDS[file.suffix])

    def models(self):
        one = {"name": "tiny", "variant": "alexnet", "classes": CLASSES, "input_size": 99, "weights": "ab" * 32}
        more = {"views": [1, 10], "error": ERROR, "layers": ["conv1", "fc7"], "has_index": True}
        return [
            {**one, **more, "takes_corrections": True},
            {**one, **more, "name": "other", "error": None, "views": [1]},
        ]

    def is_let_in(self):
        if self.token and self.headers["Authorization"] != f"Bearer {self.token}":
            self.answer({"error": "a token is needed"}, status=401)
            return False
        return True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.requests.append((parts.path, query, body))
        if not self.is_let_in():
            return
        if self.refusals:
            status, after = self.refusals.pop(0)
            headers = {"Retry_After": after} if after else {}
            return self.answer({"error": "the picture ends in the middle"}, status=status, **headers)
        self.answer(getattr(self, parts.path.strip("/"))(query))

    def predict(self, query):
        named = guesses(int(query["views"]), int(query["top"]))
        picture = {"name": None, "guesses": named, "unsure": self.is_unsure, "calibrated": 0.83}
        return {"model": query["model"], "weights": "ab" * 32, "error": ERROR, "pictures": [picture]}

    def explain(self, query):
        passed = query["method"] != "gradcam"
        failure = None if passed else "it hardly changes when weights are shuffled"
        drawn = {"label": CLASSES[int(query["class"][1])], "method": query["method"], "map": uri()}
        return {"class": query["class"], **drawn, "passed": passed, "failure": failure, "scores": {}}

    def neighbours(self, query):
        alike = {"class": "n2", "label": "lighthouse", "thumbnail": uri(hue=(60, 160, 90))}
        return {
            "neighbours": [{"picture": f"{i}.jpg", "distance": 0.25 * i, **alike} for i in range(int(query["top"]))]
        }

    def activations(self, query):
        shape = [1, 96, 23, 23] if query["layer"] == "conv1" else [1, 4096]
        return {"layer": query["layer"], "shape": shape, "towers": [uri(), uri(hue=(10, 10, 10))], "columns": 8}

    def corrections(self, query):
        return {"kept": True}


@pytest.fixture
def service():
    """A class of its own for the service of a test."""
    return type("OwnService", (Service,), {"refusals": [], "requests": []})


@pytest.fixture
def address(service):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), service) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def give(page, *files, selector="#drop", event="drop"):
    """Drops or pastes files, (name, MIME type, content) each, as a browser does."""
    page.get_by_text("Ready.").wait_for()
    files = [[name, kind, base64.b64encode(content).decode()] for name, kind, content in files or [photo()]]
    page.evaluate(
        """([files, selector, event]) => {
          const data = new DataTransfer();
          for (const [name, type, content] of files)
            data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type }));
          const given = event === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
          document.querySelector(selector).dispatchEvent(given);
        }""",
        [files, selector, event],
    )


def settled(page):
    page.locator("[aria-busy=true]").first.wait_for(state="detached")


def photo(name="holiday.png"):
    return name, "image/png", png()


def bars(page, card=0):
    rows = page.locator(".card").nth(card).locator(".guesses li")
    rows.first.wait_for()
    return [tuple(row.locator("span").all_inner_texts()) for row in rows.all()]


def opened(page, title):
    page.get_by_text(title, exact=True).click()
    return page.locator("details[open]").last


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_picture_dropped_or_pasted_is_named_with_the_numbers_of_the_service(service, address, visit, event):
    page = visit(address)
    give(page, event=event, selector="#drop" if event == "drop" else "body")
    assert bars(page) == [(guess["label"], f"{100 * guess['probability']:.1f} %") for guess in guesses(1)]
    widths = page.locator(".guesses i").evaluate_all("bars => bars.map((bar) => parseFloat(bar.style.width))")
    assert widths == pytest.approx([71.4, 20.31, 5.26, 3.0])
    assert service.requests == [("/predict", {"model": "tiny", "top": "5", "views": "1"}, png())]
    assert page.get_by_text(
        "As sure as here, it was right for 83.0 % of the pictures that it was tested on."
    ).is_visible()
    assert page.get_by_role("status").first.inner_text() == "holiday.png: teapot, 71.4 %"
    assert "10,000 pictures" in page.locator("#accuracy").inner_text()
    assert "43.2 % (95 % interval 42.2 % to 44.2 %)" in page.locator("#accuracy").inner_text()


def test_several_pictures_have_a_card_each_and_a_file_that_is_none_never_leaves(service, address, visit):
    page = visit(address)
    give(page, photo("a.png"), ("notes.txt", "text/plain", b"x"), ("empty.png", "image/png", b""), photo("b.png"))
    settled(page)
    assert page.locator("article h2").all_inner_texts() == ["teapot", "No answer", "No answer", "teapot"]
    assert page.locator(".trouble:visible").all_inner_texts() == ["This is no picture.", "This file is empty."]
    assert len(service.requests) == 2


def test_ten_views_are_asked_for_anew_where_the_network_has_them(service, address, visit):
    page = visit(address)
    give(page)
    assert bars(page)[0] == ("teapot", "71.4 %")
    page.get_by_label("Ten views").check()
    page.get_by_text("mean of ten views").wait_for()
    assert bars(page)[0] == ("teapot", "81.3 %")
    assert service.requests[-1][1]["views"] == "10"
    page.locator("#model").select_option("other")
    page.get_by_text("mean of ten views").wait_for(state="detached")
    assert service.requests[-1][1] == {"model": "other", "top": "5", "views": "1"}
    assert "not measured" in page.locator("#accuracy").inner_text()


def test_what_the_network_does_not_know_is_said_before_its_guesses(service, address, visit):
    service.is_unsure = True
    page = visit(address)
    give(page)
    page.get_by_role("heading", name="It does not know").wait_for()
    assert len(bars(page)) == 4


def test_where_it_looks_comes_with_the_verdict_of_its_checks(service, address, visit):
    page = visit(address)
    give(page)
    panel = opened(page, "Where it looks")
    panel.get_by_text("Passes its checks").wait_for()
    panel.get_by_label("Class").select_option("lighthouse")
    panel.get_by_label("Method").select_option("Grad-CAM")
    panel.get_by_text("Not to be trusted: it hardly changes when weights are shuffled.").wait_for()
    assert service.requests[-1][1] == {"model": "tiny", "method": "gradcam", "class": "n2"}
    assert panel.get_by_role("img").get_attribute("alt").endswith("where Grad-CAM finds lighthouse")


def test_the_most_alike_and_the_layers_are_fetched_when_they_are_opened(service, address, visit):
    page = visit(address)
    give(page)
    bars(page)
    assert [path for path, *_ in service.requests] == ["/predict"]
    alike = opened(page, "Most alike in the training data")
    alike.get_by_text("distance 2.25").wait_for()
    assert alike.get_by_role("img").count() == 10
    layers = opened(page, "What each layer makes of it")
    layers.get_by_text("conv1: 96 maps of 23 × 23").wait_for()
    layers.get_by_label("Layer").select_option("fc7")
    layers.get_by_text("fc7: 4096 units").wait_for()
    assert layers.locator("figcaption").all_inner_texts() == ["tower 1", "tower 2"]


def test_a_wrong_answer_is_reported_with_a_class_of_the_network(service, address, visit):
    page = visit(address)
    give(page)
    panel = opened(page, "Is this wrong?")
    panel.get_by_label("It shows").fill("zebra crossing")
    panel.get_by_role("button", name="Report").click()
    panel.get_by_text("has no such class").wait_for()
    panel.get_by_label("It shows").fill("lighthouse")
    panel.get_by_role("button", name="Report").click()
    panel.get_by_text("Noted as “lighthouse”.").wait_for()
    path, query, body = service.requests[-1]
    assert (path, query["class"], body) == ("/corrections", "lighthouse", png())


def test_the_command_gives_the_same_answer_whatever_the_file_is_called(service, address, visit):
    page = visit(address)
    give(page, photo("it's mine.png"))
    panel = opened(page, "The same answer by command")
    command = panel.locator("code").inner_text()
    assert r"""--data-binary '@it'\''s mine.png'""" in command
    assert f"'{address}predict?model=tiny&top=5&views=1'" in command
    panel.get_by_role("button").click()
    panel.get_by_role("button", name=re.compile("Copied|Selected")).wait_for()


def test_a_busy_service_is_asked_again_after_the_time_that_it_names(service, address, visit):
    service.refusals = [(429, "1"), (503, "1")]
    page = visit(address, errors=True)
    give(page)
    page.get_by_text("The service is busy; trying again in 1 s.").wait_for()
    page.get_by_text("The service is not ready yet; trying again in 1 s.").wait_for()
    assert bars(page)[0] == ("teapot", "71.4 %")


def test_a_refusal_is_shown_in_the_words_of_the_service(service, address, visit):
    service.refusals = [(422, None)]
    page = visit(address, errors=True)
    give(page)
    page.get_by_text("the picture ends in the middle").wait_for()
    assert page.get_by_role("heading", name="No answer").is_visible()


def test_a_service_that_is_gone_is_told_as_such(service, address, visit):
    page = visit(address, errors=True)
    page.get_by_text("Ready.").wait_for()
    page.context.set_offline(True)
    give(page)
    page.get_by_text("The service does not answer. Is it still running?").wait_for()


def test_a_token_is_asked_for_until_it_is_right_and_kept_for_the_tab_only(service, address, visit):
    service.token = "sesame"
    page = visit(address, errors=True)
    page.get_by_label("Token", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("does not take that token").wait_for()
    page.get_by_label("Token", exact=True).fill("sesame")
    page.keyboard.press("Enter")
    give(page)
    assert "Authorization: Bearer $TOKEN" in opened(page, "The same answer by command").locator("code").inner_text()
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]


def test_the_keyboard_reaches_everything(service, address, visit, tmp_path):
    (tmp_path / "holiday.png").write_bytes(png())
    page = visit(address)
    page.get_by_text("Ready.").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answers"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "file"
        page.keyboard.press("Space")
    chooser.value.set_files(tmp_path / "holiday.png")
    bars(page)
    for title in ("Where it looks", "Most alike in the training data"):
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == title:
                break
        page.keyboard.press("Enter")
        assert page.locator("details[open]").last.locator("summary").inner_text() == title
    page.get_by_text("Passes its checks").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_sticks_out_of_a_phone_or_a_projector(service, address, visit, width, scheme):
    page = visit(address, viewport={"width": width, "height": 800}, color_scheme=scheme, has_touch=width == 375)
    give(page, photo("a-name-without-a-single-space-that-goes-on-and-on-for-much-longer-than-a-phone-is-wide.png"))
    bars(page)
    for summary in page.locator("summary").all():
        summary.click()
    page.get_by_text("conv1: 96 maps of 23 × 23").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(248, 247, 243)", "dark": "rgb(14, 16, 19)"}[scheme]


def test_the_page_has_the_colours_of_the_reports():
    def colours(path):
        dark, light = re.findall(r"--(\w+): (#\w+)", path.read_text()), {}
        for name, value in dark:
            light.setdefault(name, []).append(value)
        return light

    reports = colours(PAGE.parents[1] / "pages/templates/page.css")
    for name, values in colours(PAGE / "page.css").items():
        assert values == reports[name][:2], name
