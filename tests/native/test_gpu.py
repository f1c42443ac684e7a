"""The GPU's kernel, run value by value by Triton's interpreter in a process of its own: no GPU is needed.

The process is this file, started as a program: Triton reads TRITON_INTERPRET once, when it is imported.
"""

import importlib.util
import itertools
import os
import subprocess
import sys

import pytest
import torch

from alexnet import native
from alexnet.models.lrn import decomposed, local_response_norm, reference

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
TOLERANCES = {torch.float32: 1e-6, torch.bfloat16: 5e-3, torch.float16: 1e-3}


def draw(*shape, seed=0, scale=30.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * scale


def judge(images, gradient, size, alpha, beta, k, towers, rectify):
    """The values and the gradient in float64, by the equation as loops and by autograd."""
    images = images.detach().double().requires_grad_()
    parts = (images.relu() if rectify else images).chunk(towers, 1)
    values = torch.cat([reference(part, size, alpha, beta, k) for part in parts], 1)
    plain = torch.cat([decomposed(part, size, alpha, beta, k) for part in parts], 1)
    plain.backward(gradient.double())
    return values.detach(), images.grad


def run(images, gradient, *settings):
    images = images.detach().requires_grad_()
    values = local_response_norm(images, *settings)
    values.backward(gradient)
    return values.detach(), images.grad


def follows_the_reference(shape, dtype, layout, *settings):
    images = draw(*shape).to(dtype).contiguous(memory_format=LAYOUTS[layout])
    gradient = draw(*shape, seed=1, scale=1.0).to(dtype)  # a layout of its own
    found, true = run(images, gradient, *settings), judge(images, gradient, *settings)
    assert all(result.dtype == dtype and result.stride() == images.stride() for result in found)
    tolerance = TOLERANCES[dtype]
    assert ((found[0].double() - true[0]).abs() <= tolerance * true[0].abs()).all()  # each value
    assert (found[1].double() - true[1]).norm() <= tolerance * true[1].norm()


def check_every_setting():
    for size, channels, layout in itertools.product((1, 3, 5, 9), (1, 7, 12), LAYOUTS):
        follows_the_reference((2, channels, 3, 5), torch.float32, layout, size, 1e-3, 0.75, 2.0, 1, False)
    for towers, rectify, beta, layout in itertools.product((1, 3), (False, True), (0.75, 0.5, 1.0), LAYOUTS):
        follows_the_reference((2, 15, 3, 3), torch.float32, layout, 5, 1e-3, beta, 1.0, towers, rectify)


def check_every_type_and_tile():
    for dtype, layout in itertools.product(TOLERANCES, LAYOUTS):
        follows_the_reference((2, 96, 7, 7), dtype, layout, 5, 1e-4, 0.75, 2.0, 2, True)  # two towers, tiles not full
        follows_the_reference((3, 256, 1, 1), dtype, layout, 33, 1e-4, 0.75, 2.0, 1, True)


def check_what_is_not_a_number():
    """It stays within its window, as it does on the CPU; k = 0 must not let one in over the channels' edge."""
    images = draw(1, 12, 2, 2)
    images[0, 3, 1, 1] = torch.nan
    for rectify in (False, True):
        values, gradient = run(images, torch.ones_like(images), 5, 1e-3, 0.75, 2.0, 2, rectify)
        assert values.isnan().nonzero()[:, 1].tolist() == [1, 2, 3, 4, 5]
        assert values.isnan().nonzero()[:, 2:].min() == 1
        assert not gradient[0, 6:].isnan().any()
    follows_the_reference((1, 7, 3, 3), torch.float32, "channels-last", 5, 1e-3, 0.75, 0.0, 1, False)


def check_the_same_bits_and_a_second_derivative():
    images, gradient = draw(2, 10, 3, 3), draw(2, 10, 3, 3, seed=1)
    settings = (5, 1e-3, 0.75, 2.0, 2, True)
    assert all(map(torch.equal, run(images, gradient, *settings), run(images, gradient, *settings)))
    images.requires_grad_()
    (first,) = torch.autograd.grad(local_response_norm(images, *settings), images, gradient, create_graph=True)
    assert torch.autograd.grad((first**2).sum(), images)[0].abs().max() > 0


CHECKS = [name for name in dict(globals()) if name.startswith("check_")]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("check", CHECKS)
def test_the_interpreted_kernel(check):
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, __file__, check], env=environment, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr


@pytest.fixture
def pretend_gpu(monkeypatch):
    """Sends CPU tensors the GPU's way, and forgets afterwards that its kernel failed."""
    monkeypatch.setattr(native, "on_gpu", lambda images: True)
    monkeypatch.setattr(native, "_gpu_failures", [])


SETTINGS = (5, 1e-3, 0.75, 2.0, 2, True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_without_triton_the_numbers_are_the_same_and_it_is_said_once(pretend_gpu, monkeypatch, caplog, dtype, layout):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "alexnet.native.gpu", raising=False)
    monkeypatch.delattr(native, "gpu", raising=False)
    for _ in range(2):
        follows_the_reference((2, 12, 3, 3), dtype, layout, *SETTINGS)
    (record,) = caplog.records
    assert record.message.startswith("the GPU's kernel does not work here, plain PyTorch serves")
    assert "triton" in record.message
    assert "\n" not in record.message


def test_a_kernel_that_fails_only_backwards_is_made_good(pretend_gpu, monkeypatch, caplog):
    class Module:
        @staticmethod
        def lrn(images, gradient, out, settings):
            if gradient is not None:
                raise RuntimeError("Failed to find C compiler")
            native_on_cpu = torch.cat([decomposed(part, *settings[:4]) for part in images.relu().chunk(2, 1)], 1)
            out.copy_(native_on_cpu)

    monkeypatch.setattr(native, "gpu", Module, raising=False)
    monkeypatch.setitem(sys.modules, "alexnet.native.gpu", Module)
    for _ in range(2):
        follows_the_reference((2, 12, 3, 3), torch.float32, "channels-last", *SETTINGS)
    assert [record.message.partition("reason: ")[2] for record in caplog.records] == [
        "RuntimeError('Failed to find C compiler')"
    ]


def test_export_and_other_types_do_without(pretend_gpu, monkeypatch):
    images = draw(1, 12, 2, 2)
    assert native.can_run(images)
    assert not native.can_run(images.double())
    assert not native.can_run(images, size=35)
    assert not native.can_run(draw(1, 1025, 1, 1))
    monkeypatch.setenv("ALEXNET_NATIVE", "0")
    assert not native.can_run(images)
    monkeypatch.delenv("ALEXNET_NATIVE")

    class Net(torch.nn.Module):
        def forward(self, images):
            return local_response_norm(images, *SETTINGS)

    exported = torch.export.export(Net(), (images,)).module()
    torch.testing.assert_close(exported(images), judge(images, images, *SETTINGS)[0].float())
    assert not native._gpu_failures


if __name__ == "__main__":
    native.on_gpu = lambda images: True
    TOLERANCES[torch.bfloat16] = 2**-7  # the interpreter cuts bits off where the compiled kernel rounds (cvt.rn.bf16)
    globals()[sys.argv[1]]()
    assert not native._gpu_failures, native._gpu_failures
