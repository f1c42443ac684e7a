"""ONNX files against engines that are not ours, on logits: probabilities would hide what differs."""

import json

import numpy as np
import pytest
import torch

from alexnet.exports.onnx import OPSET, graph
from alexnet.models.lrn import reference
from alexnet.models.variants import VARIANTS

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

LIMIT = 1e-4


def cut(made, *names):
    """The graph, with the named layers as its only outputs."""
    del made.graph.output[:]
    made.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    return made.SerializeToString()


def onnx_runtime(content, images):
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images.numpy()})


def openvino(content, images):
    engine = pytest.importorskip("openvino")
    compiled = engine.Core().compile_model(
        engine.Core().read_model(content), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return list(compiled([images.numpy()]).values())


@pytest.mark.parametrize("engine", [onnx_runtime, openvino])
@pytest.mark.parametrize("lrn", ["native", "decomposed"])
@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "toy"])
def test_an_engine_gives_the_logits_of_every_variant(network, images, error, name, lrn, engine):
    model = network(name)
    made = graph(model, lrn)
    onnx.checker.check_model(made, full_check=True)
    kinds = {node.op_type for node in made.graph.node}
    assert ("LRN" in kinds) == (lrn == "native" and name != "one-weird-trick")
    content = cut(made, "fc8")
    for count in (1, 7):
        batch = images(count)
        assert error(engine(content, batch)[0], model(batch)) < LIMIT


@pytest.mark.parametrize(("name", "lrn"), [("alexnet-two-tower", "native"), ("alexnet-as-run", "decomposed")])
def test_the_whole_network_at_full_size_too(network, images, error, name, lrn):
    model = network(name, classes=1000, input_size=None, hidden=None, initialisation="he")
    batch = images(2, model.input_size)
    with torch.inference_mode():
        assert error(onnx_runtime(cut(graph(model, lrn), "fc8"), batch)[0], model(batch)) < LIMIT


@pytest.mark.parametrize("settings", [{"activation": "tanh"}, {"pooling": "2x2"}, {"lrn": False}, {"dropout": 0.0}])
@pytest.mark.parametrize("side", [67, 83])
def test_ablated_networks_are_translated_too(network, images, error, settings, side):
    model, batch = network("alexnet-two-tower", input_size=side, **settings), images(2, side)
    assert error(onnx_runtime(cut(graph(model), "fc8"), batch)[0], model(batch)) < LIMIT


@pytest.mark.parametrize("name", ["alexnet-as-run", "caffenet"])
def test_every_layer_can_be_had_by_its_name(network, images, error, name):
    model, batch = network(name), images(2)
    names = [each for each in model.order if not (each.startswith("drop") and model.drop6.rescale)]
    found = onnx_runtime(cut(graph(model), *names), batch)
    expected = model.activations(batch, *names)
    for each, values in zip(names, found, strict=True):
        assert error(values, expected[each]) < LIMIT, each


@pytest.mark.parametrize("lrn", ["native", "decomposed"])
def test_normalisation_is_the_papers_equation_tower_by_tower(network, images, error, lrn):
    model = network("alexnet-two-tower")
    before, after = onnx_runtime(cut(graph(model, lrn), "relu1", "norm1"), 20 * images(1))
    halves = [reference(torch.from_numpy(half).double(), 5, 1e-4, 0.75, 2.0) for half in np.split(before, 2, 1)]
    assert error(after, torch.cat(halves, 1)) < 1e-6
    assert error(after, before * 2**-0.75) > 0.1


def test_the_weights_are_ours_bit_for_bit_under_our_names(network):
    model = network("caffe-alexnet")
    held = {entry.name: onnx.numpy_helper.to_array(entry) for entry in graph(model).graph.initializer}
    for name, values in model.state_dict().items():
        assert np.array_equal(held[name], values)


def test_it_says_what_goes_in_and_out_and_what_it_is(network):
    notes = {"classes": json.dumps(["hen", "Zürich"]), "licence": "CC0"}
    made = graph(network("alexnet", classes=2), notes=notes)
    assert {entry.key: entry.value for entry in made.metadata_props} == notes
    assert [entry.version for entry in made.opset_import] == [OPSET]
    (start,), (end,) = made.graph.input, made.graph.output
    assert (start.name, end.name) == ("images", "probabilities")
    assert [d.dim_param or d.dim_value for d in start.type.tensor_type.shape.dim] == ["batch", 3, 67, 67]
