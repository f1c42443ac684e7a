"""An index of made-up pictures."""

import sys
from pathlib import Path

import pytest

import alexnet as package

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def index(run, pictures, tmp_path_factory):
    """An index of 27 pictures; only to be read."""
    folder = tmp_path_factory.mktemp("indexes") / "colours"
    package.index(run, pictures, folder, precision="float32")
    return folder
