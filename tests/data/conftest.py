import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from pictures import tree

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


@pytest.fixture
def shared():
    if not (SHARED / "clothing.tar").is_file():
        pytest.skip(f"{SHARED / 'clothing.tar'} is not here")
    return SHARED


@pytest.fixture
def small(tmp_path):
    """A tree with two splits of two classes."""
    return tree(tmp_path / "pets", {"train/cat": 5, "train/dog": 4, "val/cat": 2, "val/dog": 2})
