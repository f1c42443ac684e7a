"""The compiled kernels are there wherever they can be."""

import os
import shutil

import pytest

from alexnet import native


@pytest.mark.skipif(os.environ.get("ALEXNET_NATIVE") == "0", reason="ALEXNET_NATIVE=0 does without")
@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
def test_where_there_is_a_compiler_there_are_kernels():
    """Installing goes on without them if they do not compile; this does not."""
    assert native.library() is not None
