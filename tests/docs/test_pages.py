"""Every block of code in the documents: executed in a small home, or at least parsed, and then listed with the reason.

Links, too: those inside the repository lead to a file that is there, and to a heading that it has.
"""

import ast
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import alexnet
from alexnet import recipes
from alexnet.cli import main
from alexnet.cli.parser import parser

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))}
PAGES = {name: path for name, path in sorted(PAGES.items()) if "/generated/" not in name}

NOT_EXECUTED = [  # (page, what a command or a Python block contains, why it is parsed only)
    ("README.md", "", "executed by tests/test_readme.py"),
    ("docs/tutorial.md", "", "executed by tests/test_readme.py"),
    ("docs/how-to/imagenet.md", "", "executed on a stand-in for ImageNet by tests/docs/test_imagenet.py"),
    ("docs/tutorials/serve.md", "urlopen(", "asks a service, below"),
    ("docs/how-to/serve.md", "tritonclient", "a client of the protocol is tested by tests/serving"),
    ("docs/how-to/serve.md", "http://server:8000", "asks another machine; tests/serving sends a token"),
    ("docs/how-to/weights.md", "alexnet weights get", "fetches 200 MB"),
    ("docs/how-to/weights.md", "alexnet convert weights/", "needs what was fetched"),
    ("docs/how-to/weights.md", "alexnet predict runs/torchvision", "needs what was fetched"),
    ("docs/how-to/features.md", "sklearn", "scikit-learn is no dependency"),
    ("docs/reference/results.md", "", "takes the data sets and hours"),
    ("docs/how-to/explain.md", "fc7:100", "asks for a unit that small networks do not have"),
    ("docs/how-to/finetune.md", "--epochs 20", "trains for minutes; tests/training goes on from toys"),
    ("", "alexnet claim", "trains many networks; tests/claims does so with toys"),
    ("", "alexnet demo", "trains for minutes"),
    ("", "alexnet doctor", "measures the machine"),
    ("", "alexnet export runs/mine --format keras", "loads TensorFlow; tests/exports does so once"),
    ("", "alexnet lecture --open", "serves until it is stopped"),
    ("", "alexnet serve", "serves until it is stopped; tests/serving starts it, and `curl` below asks it"),
    ("", "alexnet predict --server", "asks a service; tests/serving does so"),
    ("", "--data ~/tiny-imagenet", "takes Tiny ImageNet and hours"),
    ("", "s3://", "asks for a bucket; tests/data/test_remote.py starts one"),
    ("", "torchrun", "takes several devices; tests/test_team.py starts processes"),
]
OTHER_PROGRAMS = {  # that are neither executed nor parsed, and why
    ".": "a virtual environment",
    "cd": "a clone of the repository",
    "git": "a clone of the repository",
    "jupyter": "a server of notebooks; tests/docs/test_lecture.py executes them",
    "aws": "a bucket",
    "tar": "an archive that is fetched",
    "umask": "a token of random bytes; the tests make theirs",
    "export": "a variable of torchrun's own",
    "python": "atheris, which is installed elsewhere",
    "PYTHONPATH=/tmp/fuzz": "atheris, which is installed elsewhere",
}
NOT_CODE = {"text", "nginx", "ini", "{toctree}"}


def blocks(page):
    """Gives (kind, text) of every fenced block, as they stand."""
    text = PAGES[page].read_text(encoding="utf-8")
    return [(kind or "sh", body) for kind, body in re.findall(r"^```(\S*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)]


def lines(body):
    """Gives the commands of a block of a shell, without comments."""
    whole = (re.sub(r"(^|\s)#.*", "", line).strip() for line in body.replace("\\\n", " ").splitlines())
    return [line for line in whole if line]


def commands(page):
    return [line for kind, body in blocks(page) if kind == "sh" for line in lines(body)]


def reason(page, text):
    """Gives why a command or a block of a page is not executed; nothing where it is."""
    return next((why for of, part, why in NOT_EXECUTED if of in ("", page) and part in text), "")


COMMANDS = sorted({(page, line) for page in PAGES for line in commands(page)})
OURS = [(page, line) for page, line in COMMANDS if line.startswith(("alexnet ", "pipx ", "torchrun ", "uvx "))]
BLOCKS = [(page, kind, body) for page in PAGES for kind, body in blocks(page)]


def test_every_block_is_of_a_kind_that_is_checked_or_is_no_code():
    assert {kind for _, kind, _ in BLOCKS} == {"sh", "python", "yaml", *NOT_CODE}
    assert {line.split()[0] for _, line in COMMANDS} <= {
        "alexnet", "curl", "make", "pip", "pipx", "torchrun", "uvx", *OTHER_PROGRAMS
    }  # fmt: skip


def test_every_reason_not_to_execute_something_has_something():
    everything = [*COMMANDS, *((page, body) for page, kind, body in BLOCKS if kind == "python")]
    for of, part, why in NOT_EXECUTED:
        assert any(of in ("", page) and part in text for page, text in everything), why
    assert {line.split()[0] for _, line in COMMANDS} >= set(OTHER_PROGRAMS)


@pytest.mark.parametrize(("page", "line"), OURS)
def test_every_command_is_understood(page, line):
    words = shlex.split(re.split(r"(?:^|\s)alexnet ", line, maxsplit=1)[1])  # behind torchrun, pipx or uvx, too
    assert parser().parse_args(words).command == words[0]


@pytest.mark.parametrize("page", PAGES)
def test_every_flag_in_the_text_is_one_of_its_command(page):
    known = next(action for action in parser()._actions if action.dest == "command").choices
    for text in re.findall(r"`alexnet ([a-z][^`]*)`", PAGES[page].read_text(encoding="utf-8")):
        name, *words = text.split()
        flags = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert flags <= set(known[name]._option_string_actions), text


@pytest.mark.parametrize(("page", "kind", "body"), [block for block in BLOCKS if block[1] in ("python", "yaml")])
def test_every_block_of_a_language_is_parsed(page, kind, body):
    if kind == "python":
        ast.parse(body)
    else:
        assert list(pytest.importorskip("yaml", reason="PyYAML is not installed").safe_load_all(body))


@pytest.mark.parametrize("line", sorted({line for _, line in COMMANDS if line.split()[0] in ("make", "pip")}))
def test_every_target_and_extra_is_there(line):
    program, *words = shlex.split(line)
    if program == "make":
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {name for names in re.findall(r"\[([\w,]+)\]", line) for name in names.split(",")} <= set(extras)


@pytest.fixture(scope="module")
def home(make_folder, tmp_path_factory):
    """A person's home with small trained networks and quick recipes; and what is in it at first."""
    home = tmp_path_factory.mktemp("home")
    here = home / "here"  # where the person stands
    for folder in (home / "pictures", home / "imagenet", here / "clothing"):
        make_folder(folder, {"blue": 6, "green": 6, "red": 6})
    picture = home / "pictures" / "red" / "000.jpg"
    (home / "odd").mkdir()
    Image.open(picture).save(here / "two.png")
    for name in ("holiday.jpg", "one.jpg", "hat.jpg", "cat.jpg", "../odd/odd.jpg"):
        shutil.copy(picture, here / name)
    small = {"variant": "toy", "input_size": 67, "batch_size": 4, "epochs": 1, "precision": "float32"}
    with pytest.MonkeyPatch.context() as patch:
        for name, recipe in recipes.RECIPES.items():
            patch.setitem(recipes.RECIPES, name, replace(recipe, **small))
        patch.chdir(here)
        patch.setenv("HOME", str(home))
        execute("alexnet train modern --data ~/pictures --out runs/mine", home)
        for copy in ("first", "second", "third"):
            shutil.copytree(here / "runs/mine", here / "runs" / copy)
        shutil.copy(here / "runs/mine/model.safetensors", here / "tiny-run.safetensors")
        (box,) = (ROOT / "src/alexnet/box").glob("*/*.compressed")
        shutil.copy(box, here / "model.compressed")
        yield home, {path.name for path in here.iterdir()}


def execute(line, home):
    """Runs a command in this process; what it would write anew makes room."""
    words = [word.replace("~", str(home)) for word in shlex.split(line)[1:]]
    for old in [Path(words[words.index("--out") + 1])] if "--out" in words else []:
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    code = 0
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code or 0
    assert code in ((0, 1) if words[0] == "audit" else (0,)), line  # 1: the audit has findings


@pytest.mark.parametrize("page", [page for page in PAGES if any(kind in ("sh", "python") for kind, _ in blocks(page))])
def test_the_code_of_a_page_runs_as_it_stands(page, home):
    place, first = home
    for path in Path().iterdir():
        if path.name not in first:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    names = {"alexnet": alexnet}
    for kind, body in blocks(page):
        if kind == "python" and not reason(page, body):
            exec(body, names)
        for line in lines(body) if kind == "sh" else ():
            if line.startswith("alexnet ") and not reason(page, line) and line not in commands("README.md"):
                execute(line, place)


SERVE = "import sys\nfrom alexnet.cli import main\nmain(sys.argv[1:])\n"


@pytest.fixture(scope="module")
def service(home, toy_script):
    """The address of a service with the networks that the pages' `curl` lines ask for."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copytree("runs/mine", "runs/other", dirs_exist_ok=True)
    words = ["serve", "tiny-imagenet", "runs/mine", "runs/other", "--port", str(port), "--drain", "0"]
    with subprocess.Popen([sys.executable, toy_script(SERVE), *words], stderr=subprocess.DEVNULL) as process:
        address = f"127.0.0.1:{port}"
        for _ in range(900):
            with suppress(OSError), urllib.request.urlopen(f"http://{address}/v2/health/ready", timeout=10):
                break
            time.sleep(0.1)
        yield address
        process.terminate()


@pytest.mark.parametrize(
    ("page", "line"), [each for each in COMMANDS if each[1].startswith("curl ") and not reason(*each)]
)
def test_every_question_to_a_service_is_answered(page, line, service):
    words = ["-fsS", *shlex.split(line.replace("127.0.0.1:8000", service))[1:]]
    answer = subprocess.run(["curl", *words], capture_output=True, check=True, timeout=120).stdout
    assert json.loads(answer)


@pytest.mark.parametrize(
    ("page", "body"), [(page, body) for page, kind, body in BLOCKS if kind == "python" and "urlopen(" in body]
)
def test_every_program_that_asks_a_service_is_answered(page, body, service, capsys):
    exec(body.replace("127.0.0.1:8000", service), {})
    assert len(capsys.readouterr().out.splitlines()) == 3  # three classes


def slug(heading):
    """Gives the anchor of a heading, as MyST and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def text_of(path):
    """Gives a document's text; of a notebook, its texts."""
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


DOCUMENTS = [*PAGES, *(path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob("docs/**/*.ipynb")))]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_inside_the_repository_leads_to_a_file_and_a_heading(document):
    path = ROOT / document
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        if re.match(r"https?:|mailto:", target):
            continue
        place, _, anchor = target.partition("#")
        file = path.parent / place if place else path
        if "generated" in file.parts:
            continue  # written from the code when the site is built, which fails where a link leads nowhere
        assert file.exists(), target
        if anchor:
            assert anchor in {slug(heading) for heading in re.findall(r"^#+ (.+)$", text_of(file), re.MULTILINE)}, (
                target
            )
