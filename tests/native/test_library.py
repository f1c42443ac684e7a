"""The compiled kernels are there wherever they can be."""

import os
import platform
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from alexnet import native
from alexnet.native.interface import FILE


@pytest.mark.skipif(os.environ.get("ALEXNET_NATIVE") == "0", reason="ALEXNET_NATIVE=0 does without")
@pytest.mark.skipif(not shutil.which("c++"), reason="no C++ compiler here")
def test_where_there_is_a_compiler_there_are_kernels():
    """Installing goes on without them if they do not compile; this does not."""
    assert native.library() is not None


@pytest.mark.parametrize(("capability", "number"), [("default", 1), ("avx2", 0)])
@pytest.mark.skipif(platform.machine() != "x86_64", reason="AVX2 is x86-64's")
def test_a_processor_without_avx2_is_told_of_once_and_works(capability, number):
    program = """
import torch
from alexnet.models.lrn import local_response_norm
images = torch.ones(1, 5, 2, 2)
print(*(local_response_norm(images, alpha=1.0, beta=1.0, k=1.0)[0, 2, 0, 0].item() for _ in range(2)))
"""
    chosen = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    ended = subprocess.run([sys.executable, "-c", program], env=chosen, check=True, capture_output=True, text=True)
    assert [round(float(word), 5) for word in ended.stdout.split()] == [0.16667] * 2
    assert ended.stderr.count("this processor has no AVX2") == number


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the table of mapped files is Linux's")
@pytest.mark.parametrize("first", ["torch", "alexnet.native"])
def test_one_openmp_runtime_is_loaded(first):
    """Two would fight over the cores, and have given wrong sums beside torch (pytorch/pytorch#133294)."""
    program = f"""
import {first}
import torch
from alexnet.native import library
library()
torch.set_num_threads(2)
torch.ones(1000, 1000) @ torch.ones(1000, 1000)
files = {{line.split(maxsplit=5)[5] for line in open("/proc/self/maps") if "omp" in line and ".so" in line}}
print(*(file.strip() for file in files if file.rsplit("/")[-1].startswith(("libgomp", "libomp", "libiomp"))))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert len(ended.stdout.split()) == 1


@pytest.fixture
def kernels():
    if native.library() is None:
        pytest.skip("the kernels are not built")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the names of instructions are x86-64's")
def test_the_weights_of_a_resize_have_no_fused_multiply_adds(kernels):
    """Fused ones differ from Pillow's in a last bit, now and then."""
    if not shutil.which("objdump"):
        pytest.skip("no disassembler here")
    listing = ["objdump", "-dC", "--no-show-raw-insn", str(FILE)]
    code = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    functions = {body.partition("\n")[0]: body for body in code.split("\n\n")}
    own = [body for name, body in functions.items() if "Taps::" in name or "::resize(" in name]
    assert len(own) >= 2
    assert not any(re.search(r"vfn?m(add|sub)\d+sd", body) for body in own)


@pytest.mark.parametrize("shape", [(1, 3, 0, 5), (1, 3, 5, 0), (0, 3, 5, 5), (1, 0, 5, 5)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_empty_maps_go_past_the_kernels(shape, layout):
    program = f"""
import torch
from alexnet import native
from alexnet.models.lrn import local_response_norm
from alexnet.models.pool import MaxPool
images = torch.zeros{shape}.contiguous(memory_format={layout}).requires_grad_()
assert not native.can_run(images)
local_response_norm(images, size=1).sum().backward()
assert images.grad.shape == {shape}
if min({shape}[1:]):
    assert MaxPool(3, 2)(images.detach()).shape == (0, 3, 2, 2)
"""
    subprocess.run([sys.executable, "-c", program], check=True)  # a fault of the processor would end this process


CROP = np.zeros(1, [("top", "f4"), ("left", "f4"), ("side", "f4"), ("turn", "i4")])


def augmented(side, size, dtype=torch.float32):
    images, mean = np.zeros((1, side, side, 3), np.uint8), np.zeros((side, side, 3), np.float32)
    return native.augment(images, CROP, np.zeros((1, 3), np.float32), np.ones(1, np.float32), mean, size, dtype)


@pytest.mark.parametrize(
    ("side", "size", "dtype", "error"),
    [(8, 4, torch.float16, TypeError), (0, 4, torch.float32, ValueError), (8, 0, torch.float32, ValueError)],
)
def test_what_the_kernel_cannot_augment_is_refused(kernels, side, size, dtype, error):
    assert augmented(8, 4).shape == (1, 3, 4, 4)
    with pytest.raises(error):
        augmented(side, size, dtype)


@pytest.mark.parametrize(
    "square", [(0, 0, 0, 4), (0, 0, 5, 0), (0, 0, 6, 4), (1, 0, 5, 4), (0, 3, 5, 4), (-1, 0, 5, 4)]
)
def test_a_square_without_pixels_or_beyond_the_picture_is_not_resized(kernels, square):
    image = np.zeros((5, 7, 3), np.uint8)
    assert native.resize(image, 0, 2, 5, 4).shape == (4, 4, 3)
    with pytest.raises(ValueError, match="no square"):
        native.resize(image, *square)


@pytest.mark.skipif(native.library() is None, reason="the kernels are not built")
@pytest.mark.parametrize("width", [1, 63, 64, 200])
def test_squared_distances_from_rows_of_float16_are_those_of_the_numbers_they_hold(width):
    dice = np.random.default_rng(0)
    rows = (dice.standard_normal((7, width)) * 10.0 ** dice.integers(-9, 4, (7, width))).astype(np.float16)
    rows[0, 0], rows[1, 0] = -65504, 6e-8  # the largest in size, and one below the normal ones
    queries = dice.standard_normal((3, width)).astype(np.float32)
    exact = ((queries[:, None].astype(np.float64) - rows[None].astype(np.float64)) ** 2).sum(2)
    squares = native.squares16(torch.from_numpy(queries), rows)
    np.testing.assert_allclose(squares.numpy(), exact, rtol=1e-6)
