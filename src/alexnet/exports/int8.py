"""ONNX files with weights in one byte, one scale an output channel: a quarter of the size.

`round_weights` needs no pictures: activations stay float32. `calibrate` is static quantisation: real pictures show how
large activations are, and convolutions and products run on 8-bit integers (operators between QuantizeLinear and
DequantizeLinear, which every runtime of ONNX knows).
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from alexnet.exports.format import Input
from alexnet.models.variants import LAYERS

_PREPARED = {"onnx.quant.pre_process": "onnxruntime.quant"}
"""Metadata that keeps ONNX Runtime's quantiser from warning of missing shapes."""


def calibrate(content: bytes, batches: Iterable[Input]) -> bytes:
    """Returns a file whose convolutions and products are 8-bit: symmetric weights, activations with a zero point.

    Args:
        content: A file of `onnx.build`.
        batches: Input of the file, made of real pictures.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    model = onnx.load_from_string(content)

    class Reader(CalibrationDataReader):  # type: ignore[misc]  # of a package without types
        def __init__(self) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, Input] | None:
            batch = next(self.batches, None)
            return None if batch is None else {model.graph.input[0].name: batch}

    notes = {entry.key: entry.value for entry in model.metadata_props}
    prepared = onnx.shape_inference.infer_shapes(model)
    onnx.helper.set_model_props(prepared, _PREPARED)
    with tempfile.TemporaryDirectory(prefix="alexnet-int8-") as folder:
        path = Path(folder) / "int8.onnx"
        quantize_static(
            prepared,
            path,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_quantize=list(LAYERS),
        )
        small = onnx.load(path)
    small.producer_name, small.producer_version = model.producer_name, model.producer_version
    onnx.helper.set_model_props(small, notes)
    return bytes(small.SerializeToString())


def round_weights(content: bytes) -> bytes:
    """Returns a file whose weights are 8-bit, multiplied out again as they are used.

    Args:
        content: A file of `onnx.build`.
    """
    import onnx
    from onnx import helper, numpy_helper

    small = onnx.load_from_string(content)
    constants = small.graph.initializer
    nodes = []
    for constant in list(constants):
        if constant.name not in [f"{layer}.weight" for layer in LAYERS]:
            continue
        weight = numpy_helper.to_array(constant)
        scale = np.abs(weight.reshape(len(weight), -1)).max(1).clip(1e-12) / np.float32(127)
        levels = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1))).astype(np.int8)
        names = [f"{constant.name}.levels", f"{constant.name}.scale"]
        nodes.append(helper.make_node("DequantizeLinear", names, [constant.name], constant.name, axis=0))
        constants.remove(constant)
        constants.extend(map(numpy_helper.from_array, (levels, scale), names))
    nodes += small.graph.node
    del small.graph.node[:]
    small.graph.node.extend(nodes)
    return bytes(small.SerializeToString())
