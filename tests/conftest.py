"""Shared by all tests: a toy network, little pictures, a store of them, and a run trained on it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet import config
from alexnet.models.variants import VARIANTS, Variant

sys.path.insert(0, str(Path(__file__).parent))  # for `damage`

# Under nohup, and in the background of some shells, signals are ignored, by the children of tests too.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

os.environ.setdefault("OMP_NUM_THREADS", "1")  # on a busy machine two threads wait for each other: 100 times slower

TOY = Variant("a toy for tests", channels=(8, 16, 16, 16, 8), hidden=32, groups=2, towers=2)
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (210, 50, 40)}


@pytest.fixture(scope="session", autouse=True)
def _own_world(tmp_path_factory):
    """The row `toy` in the table of variants, and a cache that is nobody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "toy", TOY)
        patch.setenv("ALEXNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def make_folder():
    """A function (root, counts) that writes `counts["train/red"]` pictures of that colour into that folder, ..."""

    def make(root, counts, side=90):
        for folder, count in counts.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                dice = np.random.default_rng([i, *folder.encode()])
                noise = dice.integers(-40, 40, (9, 9, 3)) + np.array(COLOURS[Path(folder).name])
                picture = Image.fromarray(noise.clip(0, 255).astype(np.uint8))
                picture.resize((side + 10, side), Image.Resampling.BICUBIC).save(root / folder / f"{i:03d}.jpg")
        return root

    return make


@pytest.fixture(scope="session")
def pictures(make_folder, tmp_path_factory):
    """A folder of 18 training and 9 validation pictures in three classes; only to be read."""
    counts = {"train/blue": 7, "train/green": 6, "train/red": 5, "val/blue": 4, "val/green": 3, "val/red": 2}
    return make_folder(tmp_path_factory.mktemp("data") / "colours", counts)


@pytest.fixture(scope="session")
def settings():
    """Six steps of four pictures with the toy; validation after every second."""
    return replace(
        config.PAPER,
        **{"variant": "toy", "input_size": 67, "initialisation": "he", "divide_pixels_by": 64.0, "smallest_crop": 0.6},
        **{"batch_size": 4, "steps": 6, "evaluate_every": 0.45, "schedule": "one-cycle", "label_smoothing": 0.1},
        precision="float32",
    )


@pytest.fixture(scope="session")
def store(pictures, tmp_path_factory):
    """`pictures`, packed at 76 pixels."""
    from alexnet.data.pack import pack
    from alexnet.data.sources import open_source

    return pack(open_source(pictures), tmp_path_factory.mktemp("stores") / "colours", size=76)


@pytest.fixture(scope="session")
def run(settings, store, pictures, tmp_path_factory):
    """The folder of a finished run over `store`; only to be read."""
    from alexnet.run import Run
    from alexnet.training.loop import begin

    folder = tmp_path_factory.mktemp("runs") / "toy"
    with begin(settings, store, str(pictures), Run(folder)) as training:
        assert training.run()
    return folder


TOY_HEAD = f"from alexnet.models.variants import VARIANTS, Variant\nVARIANTS['toy'] = {TOY!r}\n"


@pytest.fixture
def alexnet(capsys):
    """A function that runs a command in this process and gives (exit code, stdout, stderr)."""

    from alexnet import cli

    def run(*arguments):
        capsys.readouterr()
        try:
            cli.main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def toy_program():
    """A function that runs a Python program, which knows the row `toy`, in a process of its own."""

    def start(body, *arguments):
        program = [sys.executable, "-c", TOY_HEAD + body, *map(str, arguments)]
        return subprocess.run(program, capture_output=True, text=True, timeout=600)

    return start


@pytest.fixture(scope="session")
def toy_script(tmp_path_factory):
    """A function that writes a program, which knows the row `toy`, to a file and gives its path."""

    def write(body):
        path = tmp_path_factory.mktemp("script") / "program.py"
        path.write_text(TOY_HEAD + body)
        return path

    return write


@pytest.fixture(scope="session")
def teams(toy_program):
    """A function that runs jobs, each in a team of processes, and gives [(exit codes, what they printed), ...].

    See `TEAMS` for what a job says. They are forked from one process, so that torch is imported once.
    """

    def run(jobs, at_once=False):
        for job in jobs:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                job.setdefault("port", free.getsockname()[1])
        ended = toy_program(TEAMS, json.dumps(jobs), json.dumps(at_once))
        assert ended.returncode == 0, ended.stderr
        return [tuple(result) for result in json.loads(ended.stdout)]

    return run


@pytest.fixture(scope="module")  # while it is open, an event loop runs in this thread
def chromium():
    """The system's Chromium; nothing is ever fetched for it."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """A function that opens an address in a page of its own, which must stay without errors and on its origin.

    It takes the options of a Playwright context, such as `viewport`; `errors=False` allows errors in the console, which
    a browser writes for every refused request.
    """
    contexts, faults = [], []

    def open_page(address, errors=False, **options):
        context = chromium.new_context(**options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page, origin = context.new_page(), "/".join(address.split("/")[:3])
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: None if errors or line.type != "error" else faults.append(line.text))
        page.on(
            "request",
            lambda sent: None if sent.url.startswith((origin, "blob:", "data:")) else faults.append(sent.url),
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


TEAMS = """
import json, os, signal, sys, tempfile
from dataclasses import replace
from pathlib import Path

import torch._dynamo  # what each process would import by itself
import torch.distributed.device_mesh
from alexnet import config, errors, meeting, team
from alexnet.cli import main
from alexnet.data import remote
from alexnet.data.open import open_data
from alexnet.run import Run
from alexnet.training import loop
from alexnet.observer import Observer

VARIANTS["toy-drop-first"] = replace(VARIANTS["toy"], head="drop fc relu")
VARIANTS["toy-one-tower"] = replace(VARIANTS["toy"], groups=1, towers=1)


class Notes(Observer):
    def notice(self, text):
        print(text, file=sys.stderr, flush=True)


def member(job, rank):
    world = job.get("world", 1)
    if job.get("mode"):
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), LOCAL_WORLD_SIZE=str(job.get("here", world)))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(job["port"]))
    if job.get("command"):
        return main(job["command"])
    other = job.get("other", {}) if rank else {}  # what all but the first do otherwise
    settings = config.from_json({**job["settings"], **other.get("settings", {})})
    if "code" in other:
        team._code = lambda: other["code"]
    os.environ.update(job.get("environment", {}))
    remote.FIRST_WAIT_S = 0.001
    steps = []

    def should_stop():
        steps.append(None)
        if len(steps) == job.get("signal_at") and rank == world - 1:
            os.kill(os.getpid(), getattr(signal, job["signal"]))
        return len(steps) == job.get("stop_at") and rank == world - 1

    with meeting.assemble(job.get("mode"), job.get("timeout", 120)) as together:
        store, folder = open_data(other.get("store", job["store"])), Path(job["folder"])
        if job.get("resume"):
            opened = loop.resume(store, Run(folder), Notes(), together)
        else:
            goes_on = together.goes_on
            opened = loop.begin(settings, store, "colours", Run(folder), Notes(), together, goes_on=goes_on)
        with opened as training:
            training.run(should_stop)


def fork(job, rank, file):
    child = os.fork()
    if child:
        return child
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    code = 1
    try:
        member(job, rank)
        code = 0
    except errors.AlexNetError as error:
        code = 2
        if str(error):
            print(error, file=sys.stderr)
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        import traceback
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def start(job):
    file = tempfile.TemporaryFile("w+")
    return [fork(job, rank, file) for rank in range(job.get("start", job.get("world", 1)))], file


def end(job, children, file):
    codes = []
    for rank, child in enumerate(children):
        if job.get("signal") == "SIGSTOP" and rank == len(children) - 1:
            os.kill(child, signal.SIGKILL)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    file.seek(0)
    return codes, file.read()


jobs, at_once = map(json.loads, sys.argv[1:])
if at_once:
    running = [start(job) for job in jobs]
    print(json.dumps([end(job, *it) for job, it in zip(jobs, running)]))
else:
    print(json.dumps([end(job, *start(job)) for job in jobs]))
"""
