"""The page in Chromium: its panels as a reader uses them, its keyboard, its sizes, and bad pictures."""

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

import alexnet
from alexnet.lecturing.server import serving
from alexnet.lecturing.site import write_site
from alexnet.records import Example, Examples
from alexnet.run import Run

PAGE = Path(alexnet.__file__).parent / "lecturing" / "page"
TEXTS = json.loads((PAGE / "texts.json").read_text(encoding="utf-8"))
FIGURES = json.loads((PAGE / "figures.json").read_text(encoding="utf-8"))
DOCS = Path(__file__).parents[2] / "docs" / "reference"


def go(page, key):
    """Shows a panel, and gives what finds things in it."""
    page.click(f"nav a[href='#{key}']")
    return page.locator(f"#{key}")


def show_all(page):
    """Shows every panel once, so that all are built."""
    page.evaluate("() => document.querySelectorAll('nav a').forEach((link) => link.click())")
    page.locator(f"#{list(TEXTS['panels'])[-1]} .stage > *").first.wait_for()


def text_of(locator, pattern):
    """Waits until a text has come, and gives it."""
    locator.filter(has_text=re.compile(pattern)).first.wait_for(timeout=20_000)
    return locator.filter(has_text=re.compile(pattern)).first.inner_text()


def test_the_folder_holds_at_most_ten_megabytes_and_names_no_other_place(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 10e6
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in files if path.name != "weights.js")
    assert set(re.findall(r"https?://[^\s\"'`]*", scripts)) <= {"http://www.w3.org/2000/svg"}


def test_every_measured_figure_stands_in_the_documents():
    results = " ".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")).replace("**", "")
    results += (DOCS.parent / "lecture" / "1-network.ipynb").read_text(encoding="utf-8")
    rows = [row for rows in FIGURES.values() for row in rows]
    stated = [row[name] for row in rows for name in ("ours", "interval") if row[name] not in (None, "one seed")]
    assert [text for text in stated if any(part not in results for part in text.split(" and "))] == []


def test_every_figure_has_words_and_every_panel_its_figures():
    assert set(FIGURES) <= set(TEXTS["panels"])
    assert {key: sorted(row["key"] for row in rows) for key, rows in FIGURES.items()} == {
        key: sorted(panel["figures"]) for key, panel in TEXTS["panels"].items() if panel["figures"]
    }


@pytest.mark.parametrize("key", TEXTS["panels"])
def test_the_code_beside_every_panel_runs(key, classifier, tmp_path, monkeypatch):
    if key == "occlusion":
        pytest.skip("a map by the package takes long, and has tests of its own")
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (130, 120), (200, 120, 30)).save("picture.jpg")
    exec(compile(TEXTS["panels"][key]["code"], key, "exec"), {})


def test_the_times_of_the_teachers_sheet_are_those_of_its_lectures():
    assert [sum(panel["timing"][i] for panel in TEXTS["panels"].values()) for i in (0, 1)] == [45, 90]


@pytest.fixture(scope="module")
def built(page):
    """The page after every panel was shown once."""
    show_all(page)
    return page


def test_all_panels_are_built_without_an_error(built):
    for key, panel in TEXTS["panels"].items():
        assert built.locator(f"#{key} h2").inner_text() == panel["title"]
    assert built.errors == []


@pytest.mark.parametrize("key", TEXTS["panels"])
def test_every_exercise_is_checked(page, key):
    exercise, panel = TEXTS["panels"][key]["exercise"], go(page, key).locator(".exercise")
    panel.locator("input").fill(str(exercise["answer"] + 1 + exercise["tolerance"]))
    panel.get_by_role("button", name="Check").click()
    assert panel.locator(".verdict").inner_text() == TEXTS["frame"]["wrong"]
    panel.locator("input").fill(f"{exercise['answer']:,}")
    panel.locator("input").press("Enter")
    assert panel.locator(".verdict").inner_text() == "Right."


def test_the_lectures_network_has_62_million_parameters_and_1_1_billion_multiply_adds(page):
    panel = go(page, "architecture")
    panel.get_by_role("button", name="the lecture's").click()
    assert panel.locator("tfoot").inner_text().split() == ["total", "62,378,344", "1,135,256,096"]
    panel.get_by_role("button", name="this network").click()
    assert panel.locator("tfoot").inner_text().split() == ["total", "24,133,192", "127,162,912"]


def test_a_unit_frames_its_receptive_field_by_the_keyboard(page):
    panel = go(page, "architecture")
    panel.locator("select").select_option("conv2")
    panel.locator("canvas.map").first.focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    # conv2 sees 51 pixels; its first unit begins 2 x 8 pixels above the picture, and each is 8 further
    assert panel.locator(".window").get_attribute("data-box") == "24,0,75,35"


def test_a_pixel_names_the_places_that_see_it(page):
    panel = go(page, "architecture")
    panel.locator("select").select_option("conv3")
    panel.locator(".shown canvas").focus()
    page.keyboard.press("ArrowUp")
    assert "by 25 of the 25 places of conv3" in text_of(panel.locator(".read"), "pixel")


def test_pooling_goes_window_by_window(page):
    panel = go(page, "pooling")
    panel.get_by_role("button", name="step 1").click()
    for _ in range(6):
        panel.get_by_role("button", name="window  →").click()
    assert panel.locator(".read").inner_text() == "Window 7 of 9: the largest of 34, 70, 112, 100 is 112."


def test_the_frameworks_are_told_what_to_write_for_the_papers_constants(page):
    panel = go(page, "lrn")
    panel.get_by_role("button", name="The paper's constants").click()
    rows = panel.locator(".stage table").first.inner_text()
    assert "k=2 n=5 alpha=1.0e-4 beta=0.75" in " ".join(rows.split())
    assert "PyTorch k=2 size=5 alpha=5.0e-4 beta=0.75" in " ".join(rows.split())
    assert "bias=2 depth_radius=2 alpha=1.0e-4 beta=0.75" in " ".join(rows.split())
    panel.get_by_role("button", name="This network's own").click()


def test_the_wire_carries_what_the_other_half_of_each_layer_holds(page):
    panel = go(page, "gpus")
    rows = [row.split() for row in panel.locator(".stage tbody tr").all_inner_texts()]
    assert rows == [
        ["conv3", "pool2", "3,200"], ["fc6", "pool5", "512"], ["fc7", "drop6", "2,048"], ["fc8", "drop7", "2,048"],
    ]  # fmt: skip
    panel.get_by_role("button", name="tower 2 off").click()
    assert "Without tower 2:" in text_of(panel.locator(".read"), "Without")
    panel.get_by_role("button", name="both towers").click()


def test_windows_are_counted_as_they_are_dragged_over(page):
    panel = go(page, "augmentation")
    panel.locator(".shown canvas").first.focus()
    before = text_of(panel.locator(".read"), "of 2,178 windows")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    after = text_of(panel.locator(".read"), "of 2,178 windows")
    assert "The paper counts 32 × 32 × 2 = 2,048" in after
    assert int(after.split()[0]) == int(before.split()[0]) + 2
    panel.get_by_role("button", name="this network's: 99 in 112").click()
    assert text_of(panel.locator(".read"), "of 392 windows").startswith("1 of 392 windows passed: 14 × 14 places")


def test_the_race_ends_for_relu_after_seven_epochs_and_not_for_tanh(page):
    panel = go(page, "relu")
    panel.get_by_label("epochs", exact=True).fill("40")
    assert panel.locator(".read").last.inner_text().startswith("After 40.0 epochs: ReLU 25.0 %, tanh 26.8 %")


def test_a_touched_stage_shows_all_its_channels(page):
    panel = go(page, "architecture")
    panel.get_by_role("button", name="conv5: 256 × 5 × 5").press("Enter")
    assert panel.locator("select").input_value() == "relu5"
    assert panel.locator("figcaption").filter(has_text="128 channels of relu5").count() == 2
    assert panel.locator(".flow .across").count() == 7  # two at conv3, fc6 and fc7, and one at fc8


def test_a_guess_is_compared_with_the_citations(page):
    panel = go(page, "use")
    panel.get_by_label("your guess").fill("86000")
    panel.get_by_role("button", name="Show").click()
    assert panel.locator(".read").inner_text() == "Your guess: 86,000; it was 172,000. You were off by a factor of 2.0."


def test_the_nearest_picture_by_fc7_is_the_mirror_image(page):
    panel = go(page, "neighbours")
    assert "among" in text_of(panel.locator(".read"), "a picture|coffee|among")
    panel.locator(".nearest").first.locator("li").first.wait_for(timeout=60_000)
    assert panel.locator(".nearest").first.locator("li span").first.inner_text() == "coffee, mirrored"


def test_every_panel_links_its_notebook_which_lies_in_the_folder(built, site):
    for key, panel in TEXTS["panels"].items():
        assert (
            built.locator(f"#{key}").locator(".deeper a").get_attribute("href")
            == f"notebooks/{panel['notebook']}.ipynb"
        )
        assert (site / "notebooks" / f"{panel['notebook']}.ipynb").is_file()


def test_a_run_shows_its_own_test_pictures(alexnet, run, open_site, tmp_path, monkeypatch):
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (200, 30, 30)).save(file, "JPEG")
    example = Example(name="test/red/7.jpg", label="red", top=(("red", 0.5),), jpeg=file.getvalue())
    monkeypatch.setattr(Run, "examples", lambda self: Examples(sample=(example,)))
    code, _, _ = alexnet("lecture", "--run", run, "--out", tmp_path / "site")
    assert code == 0
    page = open_site((tmp_path / "site" / "index.html").as_uri())
    names = [each.get_attribute("aria-label") for each in page.locator(".pictures button").all()]
    assert names == ["a drawn ball", "red (test/red/7.jpg)"]
    rgb = np.array(page.evaluate("[...lecture.picture.rgb]"))
    assert abs(rgb.reshape(-1, 3).mean(0) - [200, 30, 30]).max() < 3


def test_a_coin_silences_about_half_of_the_units(page):
    panel = go(page, "dropout")
    silenced = text_of(panel.locator(".read"), "of 4,096 units are silenced")
    assert 1848 < int(silenced.split()[0].replace(",", "")) < 2248  # six standard deviations


def test_arrow_keys_turn_the_pages_and_p_shows_one_at_a_time(open_site, served):
    page = open_site(served)
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert page.locator("nav [aria-current]").inner_text() == "Architecture"
    page.keyboard.press("p")
    shown = [panel.get_attribute("id") for panel in page.locator("main > section").all() if panel.is_visible()]
    assert shown == ["architecture"]
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_panel_that_is_jumped_to_stays_at_the_top_while_others_grow(open_site, served):
    page = open_site(served)
    page.emulate_media(reduced_motion="no-preference")
    page.click("nav a[href='#results']")
    page.locator("#results .stage > *").first.wait_for()
    page.wait_for_timeout(1500)
    top = page.evaluate("document.getElementById('results').getBoundingClientRect().top")
    assert 0 <= top < 150  # the pictures' strip, 59 pixels high, lies above it


def test_all_that_can_be_touched_is_reached_by_the_tabulator_and_has_a_name(built):
    page = built
    script = """() => [...document.querySelectorAll("*")].filter((each) => each.tabIndex >= 0).map((own) => {
      const name = own.ariaLabel || own.getAttribute("aria-label") || own.textContent || own.labels?.[0]?.textContent;
      return [own.closest("section")?.id ?? "", own.tagName.toLowerCase(), (name ?? "").trim()];
    })"""
    stops = page.evaluate(script)
    assert stops[0] == ["", "a", TEXTS["frame"]["skip"]]
    assert [stop for stop in stops if not stop[2]] == []
    reachable = {(panel, tag) for panel, tag, _ in stops}
    touched = {"pooling": "button", "lrn": "input", "occlusion": "canvas", "augmentation": "canvas", "kernels": "input"}
    assert {*touched.items(), ("architecture", "canvas"), ("architecture", "g"), ("depth", "rect")} <= reachable
    assert {panel for panel, _ in reachable} == {"", "teacher", *TEXTS["panels"]}


def test_every_drawing_has_words(built):
    script = """() => [...document.querySelectorAll("main canvas, main svg")]
      .filter((each) => !each.getAttribute("aria-label")).map((each) => each.closest("section").id)"""
    assert built.evaluate(script) == []


def test_the_title_is_painted_before_any_script_has_run(site):
    body = (site / "index.html").read_text(encoding="utf-8").split("<body>")[1]
    assert body.lstrip().startswith('<header class="top"><h1>AlexNet</h1></header>')
    assert "weights.js" not in (site / "index.html").read_text(encoding="utf-8")  # fetched after the first paint


@pytest.mark.parametrize("width", [375, 1280, 1920])
def test_nothing_stands_out_at_the_side(open_site, served, width):
    page = open_site(served, width=width)
    show_all(page)
    assert page.locator(".stage:empty").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_request_leaves_the_folder_and_the_page_is_isolated(open_site, served):
    addresses = []
    page = open_site(served, listener=lambda request: addresses.append(request.url))
    assert {url for url in addresses if not url.startswith((served, "data:", "blob:"))} == set()
    assert page.evaluate("crossOriginIsolated")


def test_the_page_works_as_a_file(open_site, site):
    page = open_site((site / "index.html").as_uri())
    assert "coffee: espresso" in page.locator(".answer").inner_text()
    assert page.errors == []


def give(page, name, content, kind="image/png"):
    """Gives the page a file, and the sentence it answers with."""
    file = {"name": name, "mimeType": kind, "buffer": content}
    page.locator("input[type=file]").set_input_files([file])
    return text_of(page.locator(".answer"), re.escape(name))


def png(image, **more):
    file = io.BytesIO()
    image.save(file, "PNG", **more)
    return file.getvalue()


def test_a_file_that_is_no_picture_is_refused_in_a_sentence(page):
    assert give(page, "notes.png", b"no picture") == f"notes.png: {TEXTS['frame']['unreadable']}"


def test_a_huge_picture_is_refused_before_it_is_decoded(page):
    header = bytearray(png(Image.new("L", (8, 8))))
    header[16:24] = (40_000).to_bytes(4, "big") + (40_000).to_bytes(4, "big")
    assert give(page, "huge.png", bytes(header)) == "huge.png: more than 64,000,000 pixels: make it smaller"


def test_transparent_rotated_and_large_pictures_are_read_as_the_package_reads_them(page, classifier, tmp_path):
    y, x = np.mgrid[:300, :400]
    pixels = np.stack([x * 255 // 400, y * 255 // 300, (x + y) % 256, np.where(x < 200, 255, 60)], 2).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    for name, content in {
        "clear.png": png(Image.fromarray(pixels)),
        "turned.png": png(Image.fromarray(pixels[..., :3]), exif=exif),
        "wide.png": png(Image.fromarray(pixels[:150, :, :3])),
    }.items():
        assert " ms)" in give(page, name, content)
        (tmp_path / name).write_bytes(content)
        ours = np.array(page.evaluate("[...lecture.picture.rgb]")).reshape(112, 112, 3)
        assert np.abs(ours - classifier.read(tmp_path / name)[0].astype(int)).max() <= 2, name


def test_a_network_of_one_tower_says_what_makes_no_sense(run, open_site, tmp_path):
    network = alexnet.load(run, numbers="float32")
    network.model = alexnet.create_model("alexnet", classes=3, input_size=67, initialisation="he", dropout=0).eval()
    network.header = structs.replace(network.header, classes=("</script><b>", "dog", "owl"))
    write_site(tmp_path / "site", "mine", network)
    with serving(tmp_path / "site") as address:
        page = open_site(address)
        assert "has one tower" in go(page, "gpus").locator(".off").inner_text()
        assert go(page, "dropout").locator(".off").inner_text() == "This network has no dropout."
        assert "rounded" in page.locator("header.top .notice").first.inner_text()
        assert page.errors == []


def test_a_network_for_cifar_is_shown_and_told_apart(run, open_site, tmp_path):
    network = alexnet.load(run, numbers="float32")
    network.model = alexnet.create_model("cifar-13pct", classes=3, dropout=0.0).eval()
    network.mean = np.full((32, 32, 3), 120, np.float32)
    write_site(tmp_path / "site", "mine", network)
    with serving(tmp_path / "site") as address:
        page = open_site(address)
        assert "cifar-13pct is no AlexNet" in page.locator("header.top").inner_text()
        for key in ("lrn", "gpus", "dropout"):
            assert go(page, key).locator(".off").count() == 1
        show_all(page)
        assert page.locator(".stage:empty").count() == 0
        assert page.errors == []


def test_the_command_writes_a_folder_and_says_what_to_do_with_it(alexnet, run, tmp_path):
    code, output, _ = alexnet("lecture", "--run", run, "--out", tmp_path / "site")
    assert code == 0
    assert output.endswith(f"open {tmp_path}/site/index.html, or put the folder on a web server\n")
    assert (tmp_path / "site" / "index.html").is_file()
    code, _, error = alexnet("lecture", "--run", run, "--out", tmp_path / "site")
    assert (code, error) == (2, f"alexnet: {tmp_path}/site exists already; give a new folder\n")


def test_without_a_folder_the_lecture_is_served_until_it_is_stopped(run, monkeypatch):
    from urllib.request import urlopen

    from alexnet.observer import Observer

    class Visitor(Observer):
        page = ""

        def notice(self, text):
            self.address = text.split()[4]
            with urlopen(self.address) as answer:
                self.page, self.headers = answer.read().decode(), answer.headers

        def should_stop(self):
            return bool(self.page)

    visitor = Visitor()
    result = alexnet.lecture(run=run, observer=visitor)
    assert result.folder is None
    assert "lecture.js" in visitor.page
    assert visitor.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert visitor.address.startswith("http://127.0.0.1:")
