"""A quarter of the bytes, nearly the same answers."""

import numpy as np
import pytest

from alexnet.exports.format import PreprocessingSteps
from alexnet.exports.onnx import calibrate, engine, graph, round_weights
from alexnet.models.variants import LAYERS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NOTES = {"classes": '["hen", "egg"]'}


@pytest.fixture
def made(network):
    return graph(network("alexnet-two-tower", hidden=512), notes=NOTES)


def small_of(way, made, images):
    content = made.SerializeToString()
    small = round_weights(content) if way == "rounded" else calibrate(content, [images(8).numpy()] * 2)
    return onnx.load_from_string(small)


@pytest.mark.parametrize("way", ["rounded", "calibrated"])
def test_it_has_a_quarter_of_the_bytes_and_nearly_the_same_answers(made, images, error, way):
    small = small_of(way, made, images)
    onnx.checker.check_model(small, full_check=True)
    content, large = small.SerializeToString(), made.SerializeToString()
    assert len(content) < 0.27 * len(large)
    batch = images(7).numpy()
    found, expected = engine(content).run(batch), engine(large).run(batch)
    assert 1e-6 < error(found, expected) < (0.02 if way == "rounded" else 0.1)
    assert {entry.key: entry.value for entry in small.metadata_props} == NOTES


def test_the_products_run_on_integers(made, images):
    small = small_of("calibrated", made, images)
    before = {out: node.op_type for node in small.graph.node for out in node.output}
    for layer in LAYERS:
        (node,) = [node for node in small.graph.node if node.name == layer]
        assert [before[name] for name in node.input] == ["DequantizeLinear"] * 3
    (norm,) = [node for node in small.graph.node if node.name == "norm1.normalised"]
    assert before[norm.input[0]] == "Reshape"


def test_a_rounded_weight_is_off_by_half_a_step_at_most(made):
    small = small_of("rounded", made, None)
    held = {entry.name: onnx.numpy_helper.to_array(entry) for entry in small.graph.initializer}
    for entry in made.graph.initializer:
        if entry.name.endswith(".weight"):
            weight, levels, scale = (
                onnx.numpy_helper.to_array(entry),
                held[f"{entry.name}.levels"],
                held[f"{entry.name}.scale"],
            )
            steps = scale.reshape(-1, *[1] * (weight.ndim - 1))
            assert np.all(abs(levels * steps - weight) <= 0.5001 * steps)
            assert abs(levels).max() == 127


def test_a_graph_that_resizes_stays_right(network, error):
    dice = np.random.default_rng(0)
    wanted = PreprocessingSteps("centre", 76, 67, dice.uniform(0, 255, (76, 76, 3)).astype(np.float32), 1.0)
    large = graph(network("alexnet-two-tower", hidden=512), preprocessing=wanted).SerializeToString()
    stored = dice.integers(0, 256, (8, 76, 76, 3), np.uint8)
    small = calibrate(large, [stored])
    pictures = dice.integers(0, 256, (2, 90, 131, 3), np.uint8)
    found, expected = (engine(each).run(pictures) for each in (small, large))
    assert error(found, expected) < 0.1
