"""Shared by all tests: a toy network, little pictures, a store of them, and a run trained on it."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet import config
from alexnet.models.variants import VARIANTS, Variant

os.environ.setdefault("OMP_NUM_THREADS", "1")  # on a busy machine two threads wait for each other: 100 times slower

TOY = Variant("a toy for tests", channels=(8, 16, 16, 16, 8), hidden=32, groups=2, towers=2)
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (210, 50, 40)}
SHARED = Path(__file__).parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_world(tmp_path_factory):
    """The row `toy` in the table of variants, and a cache that is nobody's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VARIANTS, "toy", TOY)
        patch.setenv("ALEXNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real pictures that stands beside the project on some machines."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not here")
    return SHARED


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
    from alexnet.data.sources import open_source
    from alexnet.data.store import pack

    return pack(open_source(pictures), tmp_path_factory.mktemp("stores") / "colours", size=76)


@pytest.fixture(scope="session")
def run(settings, store, pictures, tmp_path_factory):
    """The folder of a finished run over `store`; only to be read."""
    from alexnet.training.loop import train

    folder = tmp_path_factory.mktemp("runs") / "toy"
    assert train(settings, store, str(pictures), folder)
    return folder


@pytest.fixture(scope="session")
def toy_program():
    """A function that runs a Python program, which knows the row `toy`, in a process of its own."""

    def start(body, *arguments):
        head = f"from alexnet.models.variants import VARIANTS, Variant\nVARIANTS['toy'] = {TOY!r}\n"
        return subprocess.run([sys.executable, "-c", head + body, *map(str, arguments)], capture_output=True, text=True)

    return start
