"""An index of made-up pictures."""

import pytest

import alexnet as package


@pytest.fixture(scope="session")
def index(run, pictures, tmp_path_factory):
    """An index of 27 pictures; only to be read."""
    folder = tmp_path_factory.mktemp("indexes") / "colours"
    package.index(run, pictures, folder, precision="float32")
    return folder
