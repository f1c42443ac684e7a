"""Pictures in, the network's input out: as our decoder makes it, to one level in 255 where it resizes."""

import numpy as np
import pytest
import torch
from PIL import Image

from alexnet.data import decode
from alexnet.exports.format import PreprocessingSteps
from alexnet.exports.onnx import graph

SHAPES = [(76, 76), (77, 77), (200, 301), (131, 90), (50, 41), (76, 300)]


def photograph(height, width):
    clouds = np.random.default_rng(height * width).integers(0, 256, (9, 9, 3), np.uint8)
    return np.array(Image.fromarray(clouds).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(params=["centre", "warp"])
def wanted(request):
    mean = np.random.default_rng(0).uniform(0, 255, (76, 76, 3)).astype(np.float32)
    return PreprocessingSteps(request.param, 76, 67, mean, 1.0)  # the margin is odd: 9 pixels


def square(wanted, picture):
    return decode.fit(picture, 76) if wanted.square == "centre" else decode.warp(picture, 76)


def test_onnx_resizes_as_our_decoder_does(network, wanted):
    onnx, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    made = graph(network("alexnet"), preprocessing=wanted)
    onnx.checker.check_model(made, full_check=True)
    made.graph.output.append(onnx.helper.make_tensor_value_info("preprocess.images", 1, None))
    session = runtime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    for shape in SHAPES:
        picture = photograph(*shape)
        (found,) = session.run(["preprocess.images"], {"pictures": np.stack([picture] * 2)})
        difference = abs(found - wanted(square(wanted, picture)[None]))
        assert difference.max() < (1.001 if shape != (76, 76) else 1e-4)
        assert difference.mean() < 0.25


def test_openvino_resizes_so_too(network, wanted, error):
    pytest.importorskip("onnx")
    engine = pytest.importorskip("openvino")
    model = network("alexnet")
    content = graph(model, preprocessing=wanted).SerializeToString()
    compiled = engine.Core().compile_model(
        engine.Core().read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    for shape in SHAPES[:4]:
        picture = photograph(*shape)
        (found,) = compiled([picture[None]]).values()
        images = torch.from_numpy(wanted(square(wanted, picture)[None]))
        assert error(found, model(images).softmax(1)) < 1e-3


def test_tensor_operations_give_what_our_kernel_gives(wanted):
    stored = np.stack([square(wanted, photograph(*shape)) for shape in SHAPES])
    assert np.array_equal(wanted.tensors(torch.from_numpy(stored.copy())).numpy(), wanted(stored))


def test_it_describes_itself(wanted):
    told = wanted.describe()
    assert told["view"] == "centre 67 of 76, 4 from the top and left"
    assert "76" in told["square"]
