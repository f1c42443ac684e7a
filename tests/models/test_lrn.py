"""Local response normalisation: by hand, against the equation as loops, against other engines."""

import _ctypes
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from alexnet import native
from alexnet.errors import UsageError
from alexnet.models.create import create
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm, decomposed, local_response_norm, reference
from alexnet.native import interface
from alexnet.recipes import MODERN

LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def draw(*shape, seed=0, scale=30.0, dtype=torch.float32, layout=torch.contiguous_format):
    images = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale
    return images.to(dtype).contiguous(memory_format=layout)


def judge(images, towers=1, rectify=False, **constants):
    """The equation as loops, in float64, tower by tower."""
    wide = images.double().clamp(min=0) if rectify else images.double()
    return torch.cat([reference(part, **constants) for part in wide.chunk(towers, 1)], 1)


def error(found, true):
    """The largest relative error of an element."""
    return ((found.double() - true).abs() / true.abs().clamp(min=1e-12)).max().item()


def norm_error(found, true):
    return ((found.double() - true).norm() / true.norm()).item()


@pytest.fixture
def no_kernels(monkeypatch):
    monkeypatch.setattr(native, "library", lambda: None)


@pytest.fixture
def kernels():
    if native.library() is None:
        pytest.skip("the compiled kernels are not here")


@pytest.mark.parametrize("function", [reference, decomposed, local_response_norm])
def test_the_formula_by_hand(function):
    pixel = torch.tensor([3.0, -4.0, 0.0, 12.0]).reshape(1, 4, 1, 1)
    found = function(pixel, size=3, alpha=0.5, beta=0.75, k=2.0).flatten()
    # windows of squares: 9+16, 9+16+0, 16+0+144, 0+144; half of that plus 2 is 14.5, 14.5, 82, 74
    by_hand = [3 / 14.5**0.75, -4 / 14.5**0.75, 0.0, 12 / 74**0.75]
    torch.testing.assert_close(found, torch.tensor(by_hand), rtol=1e-6, atol=0)


def test_the_paper_constants_are_the_default():
    images = draw(1, 7, 2, 2, scale=100)
    explicit = reference(images.double(), size=5, alpha=1e-4, beta=0.75, k=2.0)
    assert error(local_response_norm(images), explicit) < 1e-6
    assert error(LocalResponseNorm()(images), explicit) < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3, 5, 17, 96, 700])  # 700: a pixel is longer than a row
@pytest.mark.parametrize("size", [1, 3, 5, 9, 35])
def test_the_kernel_follows_the_loops(channels, size, layout):
    images = draw(2, channels, 5, 7, layout=LAYOUTS[layout])
    true = judge(images, size=size, alpha=1e-3)
    found = local_response_norm(images, size=size, alpha=1e-3)
    assert error(found, true) < 1e-6
    assert norm_error(found, true) < 1e-6
    assert found.stride() == images.stride()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0])
@pytest.mark.parametrize("towers", [1, 2])
@pytest.mark.parametrize("rectify", [False, True])
def test_every_setting_follows_the_loops(beta, towers, rectify, layout):
    images = draw(3, 16, 5, 5, layout=LAYOUTS[layout])
    true = judge(images, towers, rectify, alpha=1e-3, beta=beta, k=1.0)
    found = local_response_norm(images, 5, 1e-3, beta, 1.0, towers, rectify)
    assert error(found, true) < 1e-6


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rectify", [False, True])
def test_bf16_is_within_its_own_rounding(rectify, layout):
    images = draw(2, 96, 5, 5, dtype=torch.bfloat16, layout=LAYOUTS[layout])
    true = judge(images, 2, rectify)
    found = local_response_norm(images, towers=2, rectify=rectify)
    assert found.dtype == torch.bfloat16
    assert error(found, true) < 5e-3
    assert norm_error(found, true) < 5e-3


@pytest.mark.parametrize("channels", [3, 8])
@pytest.mark.parametrize("width", [1, 15, 16, 17, 33, 63, 64, 65, 129, 511, 512, 513, 1025])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_pixel_of_a_row_is_left_out(kernels, layout, width, channels):
    """The kernel treats rows of pixels, in memory that still holds the rows before: here, what is no number."""
    images = draw(2, channels, 1, width, scale=3, dtype=torch.float64, layout=LAYOUTS[layout])
    unclean = torch.full_like(images, torch.nan).requires_grad_()
    for size in (3, 5):
        ours, theirs = images.clone().requires_grad_(), images.clone().requires_grad_()
        local_response_norm(unclean, size, 0.3).sum().backward()
        found = local_response_norm(ours, size, 0.3)
        found.square().sum().backward()
        true = decomposed(theirs, size, 0.3)
        true.square().sum().backward()
        torch.testing.assert_close(found, true, rtol=1e-12, atol=0)
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)


def test_float16_is_computed_in_float32():
    images = draw(1, 8, 3, 3, scale=400, dtype=torch.float16)  # squares overflow float16
    assert error(local_response_norm(images, alpha=1e-3), judge(images, alpha=1e-3)) < 1e-3


def test_a_view_into_another_tensor_is_read_as_what_it_shows():
    images = draw(2, 20, 9, 9)[:, 1::2, ::2, 1:8]
    assert error(local_response_norm(images, alpha=1e-3), judge(images, alpha=1e-3)) < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 6), st.integers(1, 20)),
    half=st.integers(0, 6),
    towers=st.integers(1, 3),
    layout=st.sampled_from(list(LAYOUTS.values())),
    rectify=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_any_shape_and_layout_and_its_gradient(shape, half, towers, layout, rectify, seed):
    count, channels, height, width = shape
    images = draw(count, channels * towers, height, width, seed=seed, scale=3, dtype=torch.float64).to(
        memory_format=layout
    )
    weights = torch.randn_like(images)
    constants = {"size": 2 * half + 1, "alpha": 0.03}
    ours, theirs = images.clone().requires_grad_(), images.clone().requires_grad_()
    found = local_response_norm(ours, **constants, towers=towers, rectify=rectify)
    (found * weights).sum().backward()
    plain = theirs.relu() if rectify else theirs
    true = torch.cat([decomposed(part, **constants) for part in plain.chunk(towers, 1)], 1)
    (true * weights).sum().backward()
    torch.testing.assert_close(found, judge(images, towers, rectify, **constants), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("rectify", [False, True])
def test_the_gradient_agrees_with_differences(kernels, rectify, layout):
    images = draw(1, 6, 1, 2, scale=2, dtype=torch.float64, layout=LAYOUTS[layout]).requires_grad_()
    for beta in (0.75, 1.0):
        assert gradcheck(lambda x, beta=beta: local_response_norm(x, 3, 0.2, beta, 1.5, 2, rectify), (images,))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.bfloat16, 5e-3)])
def test_the_gradient_is_as_exact_as_the_values(dtype, tolerance, layout):
    images = draw(2, 96, 5, 5, dtype=dtype, layout=LAYOUTS[layout]).requires_grad_()
    gradient = draw(2, 96, 5, 5, seed=1, dtype=dtype, layout=LAYOUTS["contiguous"])  # a layout of its own
    local_response_norm(images, alpha=1e-3, towers=2, rectify=True).backward(gradient)
    exact = images.detach().double().requires_grad_()
    true = torch.cat([decomposed(part, alpha=1e-3) for part in exact.relu().chunk(2, 1)], 1)
    true.backward(gradient.double())
    assert norm_error(images.grad, exact.grad) < tolerance


@pytest.mark.parametrize("rectify", [False, True])
def test_a_second_derivative_is_that_of_the_decomposed_form(rectify):
    """With the sum of the values the incoming gradient is a constant, and nothing may be lost all the same."""
    found = []
    for function in (local_response_norm, decomposed):
        images = draw(2, 12, 3, 3, scale=5, dtype=torch.float64)[:, ::2].requires_grad_()
        plain = images.relu() if rectify and function is decomposed else images
        extra = {"rectify": rectify} if function is local_response_norm else {}
        (gradient,) = torch.autograd.grad(function(plain, alpha=0.1, **extra).sum(), images, create_graph=True)
        (second,) = torch.autograd.grad((gradient**2).sum(), images)
        found.append(second)
    assert found[1].abs().max() > 1e-3
    torch.testing.assert_close(*found)


def test_the_same_input_gives_the_same_bits_with_any_number_of_threads():
    images = draw(4, 48, 27, 27).requires_grad_()
    results, before = [], torch.get_num_threads()
    for threads in (2, 2, 1):
        torch.set_num_threads(threads)
        images.grad = None
        out = local_response_norm(images)
        out.sum().backward()
        results.append((out.detach(), images.grad))
    torch.set_num_threads(before)
    assert all(torch.equal(out, results[0][0]) and torch.equal(gradient, results[0][1]) for out, gradient in results)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_value_that_is_not_a_number_stays_one(rectify, layout):
    images = draw(1, 8, 2, 2, layout=LAYOUTS[layout])
    images[0, 3, 1, 1] = torch.nan
    assert local_response_norm(images, rectify=rectify)[0, 3, 1, 1].isnan()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_value_that_is_not_a_number_leaves_other_pixels_alone(layout):
    gradients = []
    for last in (1.0, torch.nan):
        images = draw(1, 8, 2, 2, layout=LAYOUTS[layout])
        images[0, 7, 0, 1] = last
        local_response_norm(images.requires_grad_()).sum().backward()
        gradients.append(images.grad.flatten(2)[..., [0, 2, 3]])
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-6, atol=0)


def test_the_power_is_exact_for_sums_of_every_size():
    images = torch.logspace(-19, 18, 5000).reshape(1, 1, 50, 100)
    settings = {"size": 1, "alpha": 1.0, "k": 2e-38}
    assert error(local_response_norm(images, **settings), judge(images, **settings)) < 1e-6


@pytest.mark.parametrize(
    ("alpha", "k", "scale"), [(1e-3, 0.0, 30), (1.0, 2.0**-130, 1e-25), (-1e-5, 2.0, 30), (-1.0, 2.0, 30)]
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_odd_constants_follow_the_loops(layout, alpha, k, scale):
    """Some sums are below the smallest normal number, or below 0, whose power is no number."""
    images = draw(2, 6, 3, 3, scale=scale, layout=LAYOUTS[layout])
    found, true = local_response_norm(images, alpha=alpha, k=k), judge(images, alpha=alpha, k=k)
    torch.testing.assert_close(found.double(), true, rtol=1e-6, atol=0, equal_nan=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_square_that_overflows_gives_zero_and_infinity_no_number(kernels, layout):
    images = draw(1, 9, 2, 2, layout=LAYOUTS[layout])
    images[0, 4, 1, 0], images[0, 4, 1, 1] = 1e30, torch.inf
    out = local_response_norm(images.requires_grad_())
    out.sum().backward()
    assert out[0, 2:7, 1, 0].tolist() == [0] * 5
    for values in (out[0], images.grad[0]):
        assert values[4, 1, 0] == 0
        assert values[4, 1, 1].isnan()
        assert values[:, 0].isfinite().all()


@pytest.mark.parametrize("size", [0, 2, 4, -1])
def test_a_window_without_a_centre_is_refused(size):
    with pytest.raises(UsageError, match=f"must be odd, got size {size}"):
        LocalResponseNorm(size)
    with pytest.raises(UsageError, match=f"must be odd, got size {size}"):
        local_response_norm(draw(1, 8, 2, 2), size)


def test_towers_must_share_the_channels_evenly():
    with pytest.raises(UsageError, match=r"5 channels .* 2 towers"):
        local_response_norm(draw(1, 5, 2, 2), towers=2)


def test_torch_divides_alpha_by_the_window():
    images = draw(2, 11, 4, 4, scale=100)
    theirs = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)(images)
    torch.testing.assert_close(local_response_norm(images), theirs, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize(("paper_alpha", "k"), [(1e-4, 2.0), (2e-5, 2.0), (2e-5, 1.0)])
def test_the_table_of_alpha_conventions(paper_alpha, k):
    """The facts' table: paper as written, as run in 2012, Caffe; each framework by its own rule."""
    images = draw(1, 9, 2, 2, scale=100, dtype=torch.float64)
    ours = local_response_norm(images, alpha=paper_alpha, k=k)
    divided = {(1e-4, 2.0): 5e-4, (2e-5, 2.0): 1e-4, (2e-5, 1.0): 1e-4}[paper_alpha, k]
    window = torch.stack(
        [(images[:, max(0, i - 2) : i + 3] ** 2).sum(1) for i in range(9)], 1
    )  # cut off at the edges, the divisor is not
    torch.testing.assert_close(ours, torch.nn.LocalResponseNorm(5, divided, 0.75, k)(images))
    torch.testing.assert_close(ours, images / (k + divided / 5 * window) ** 0.75)  # Caffe, ONNX, cuda-convnet
    torch.testing.assert_close(ours, images / (k + paper_alpha * window) ** 0.75)  # TensorFlow, Paddle


def test_onnx_runtime_gives_the_same():
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    images = draw(2, 13, 3, 4, scale=100)
    node = onnx.helper.make_node("LRN", ["x"], ["y"], size=5, alpha=5e-4, beta=0.75, bias=2.0)
    kind = onnx.TensorProto.FLOAT
    value = [onnx.helper.make_tensor_value_info(name, kind, list(images.shape)) for name in "xy"]
    graph = onnx.helper.make_graph([node], "lrn", value[:1], value[1:])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 13)])
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"x": images.numpy()})
    torch.testing.assert_close(local_response_norm(images), torch.from_numpy(theirs), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rectify", [False, True])
def test_without_kernels_the_numbers_are_the_same(no_kernels, rectify):
    images = draw(2, 16, 5, 5)
    true = judge(images, 2, rectify, alpha=1e-3)
    assert error(local_response_norm(images, alpha=1e-3, towers=2, rectify=rectify), true) < 1e-6


def test_kernels_can_be_switched_off_from_outside(monkeypatch, caplog):
    monkeypatch.setenv("ALEXNET_NATIVE", "0")
    native.library.cache_clear()
    try:
        assert native.library() is None
        assert not caplog.records
    finally:
        native.library.cache_clear()


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        pytest.param("nowhere.so", "not built", id="missing"),
        pytest.param(__file__, "invalid ELF header|Exec format|not a valid|slice is not valid", id="broken"),
        pytest.param(_ctypes.__file__, "alexnet_lrn", id="of another version"),
    ],
)
def test_kernels_that_cannot_be_used_are_said_once_and_done_without(file, reason, monkeypatch, caplog):
    monkeypatch.setattr(interface, "FILE", Path(file))
    native.library.cache_clear()
    try:
        assert error(local_response_norm(draw(1, 8, 2, 2)), judge(draw(1, 8, 2, 2))) < 1e-6
        local_response_norm(draw(1, 8, 2, 2))
        (record,) = caplog.records
        assert re.search(f"out of use .*({reason})", record.message)
    finally:
        native.library.cache_clear()


def test_the_same_map_norm_divides_by_a_square_of_positions():
    images = draw(1, 2, 6, 7, scale=100, dtype=torch.float64)
    found = SameMapNorm()(images)
    for y, x in [(0, 0), (3, 4), (5, 6)]:
        square = images[0, 1, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        true = images[0, 1, y, x] / (1 + 0.001 / 25 * (square**2).sum()) ** 0.75
        torch.testing.assert_close(found[0, 1, y, x], true)


@pytest.mark.parametrize("name", ["toy", "alexnet-as-run"])
def test_alphas_factor_makes_up_for_divided_pixels(name):
    """A network without biases that sees a d-th answers a d-th, if alpha grows by d^2: it is homogeneous."""
    images = 64 * torch.randn(1, 3, 67, 67, generator=torch.Generator().manual_seed(0))
    raw, divided, unaware = (create(name, input_size=67, initialisation="he", alpha_factor=f) for f in (1, 64**2, 1))
    with torch.no_grad():
        expected = raw.eval()(images)
        torch.testing.assert_close(64 * divided.eval()(images / 64), expected, rtol=1e-3, atol=1e-3)
        assert not torch.allclose(64 * unaware.eval()(images / 64), expected, rtol=0.1)


@pytest.mark.parametrize(("factor", "low", "high"), [(MODERN.alpha_factor, 0.05, 0.5), (1.0, 0.0, 0.001)])
def test_modern_gives_the_neighbours_a_part_in_what_it_divides_by(factor, low, high):
    """Pixels have a standard deviation of about 1 there; the published alpha, by a factor of 1, is lost on them."""
    model = create("alexnet-two-tower", input_size=67, initialisation=MODERN.initialisation, alpha_factor=factor)
    with torch.no_grad():
        active = model.relu1(model.conv1(torch.randn(4, 3, 67, 67, generator=torch.Generator().manual_seed(0))))
        norm = model.norm1
        base = (active / norm(active)) ** (1 / norm.beta)  # k + alpha times the sum of squares
    assert low <= float((1 - norm.k / base)[active > 0].mean()) <= high
