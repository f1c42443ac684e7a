"""The others: the same networks as most people write them, in plain PyTorch, and as an ONNX file."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.bench.size import Size
from alexnet.models.alexnet import AlexNet


class TowerNorm(nn.LocalResponseNorm):
    """PyTorch's normalisation, of each tower by itself: two half pictures for each picture."""

    def forward(self, images: Tensor) -> Tensor:
        """Normalises."""
        count, channels, height, width = images.shape
        halves = images.reshape(2 * count, channels // 2, height, width)
        return super().forward(halves).reshape(images.shape)


def two_tower(side: int) -> nn.Module:
    """Gives the paper's network for inputs of `side` pixels: grouped convolutions, ReLU in place, PyTorch's LRN."""
    return nn.Sequential(
        *[nn.Conv2d(3, 96, 11, 4), nn.ReLU(True), TowerNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(True), TowerNorm(5, 5e-4, 0.75, 2.0)],
        *[nn.MaxPool2d(3, 2), nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(True)],
        *[nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(True)],
        *[nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(True), nn.MaxPool2d(3, 2), nn.Flatten()],
        *[nn.Linear(256 * _pooled(side) ** 2, 4096), nn.ReLU(True), nn.Dropout()],
        *[nn.Linear(4096, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 1000)],
    )


def torchvision_style(side: int) -> nn.Module:
    """Gives torchvision's simplified network, layer by layer: narrower, one tower, no normalisation.

    Source: torchvision/models/alexnet.py; its average pooling leaves the 6 x 6 map of 224-pixel inputs as it is.
    """
    return nn.Sequential(
        *[nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2)],
        *[nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(True), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(True)],
        *[nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2)],
        *[nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Dropout(), nn.Linear(256 * 36, 4096), nn.ReLU(True)],
        *[nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True), nn.Linear(4096, 1000)],
    )


NETWORKS = {"two-tower": (two_tower, 227), "torchvision-style": (torchvision_style, 224)}


def _pooled(side: int) -> int:
    """Gives the side of pool5's map: a convolution of 11 pixels at stride 4, three poolings of 3 at stride 2."""
    side = (side - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side


def write_onnx(size: Size, path: str) -> dict[str, float]:
    """Writes the two-tower network as an ONNX file, normalisation as ONNX's own operator; gives its bytes."""
    import onnx

    model = AlexNet("alexnet-two-tower", input_size=size.input_size).eval()
    onnx.save(onnx_model(model), path)
    return {"bytes": Path(path).stat().st_size}


def onnx_model(model: AlexNet) -> Any:
    """Translates a network, layer by layer, for any batch.

    Differs: ONNX's alpha is `size` times the paper's. Two towers are normalised as two half pictures.
    """
    from onnx import TensorProto, helper

    graph = _Graph()
    for name in model.order:
        if name == "fc6":
            graph.node("Flatten", axis=1)
        graph.layer(getattr(model, name))
    side = model.input_size
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, side, side])
    logits = helper.make_tensor_value_info(graph.last, TensorProto.FLOAT, ["batch", model.classes])
    made = helper.make_graph(graph.nodes, "alexnet", [images], [logits], graph.constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class _Graph:
    """ONNX nodes in a row, each of which takes what the last one gave."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.last = "images"

    def node(self, kind: str, *inputs: Tensor, **attributes: Any) -> None:
        from onnx import helper, numpy_helper

        names = [f"c{len(self.constants) + i}" for i in range(len(inputs))]
        arrays = [tensor.detach().numpy() for tensor in inputs]
        self.constants += [numpy_helper.from_array(array, name) for array, name in zip(arrays, names, strict=True)]
        before, self.last = self.last, f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [before, *names], [self.last], **attributes))

    def layer(self, layer: Any) -> None:
        match type(layer).__name__:
            case "Conv2d":
                form = {"strides": layer.stride, "pads": [*layer.padding] * 2, "group": layer.groups}
                self.width = layer.out_channels
                self.node("Conv", layer.weight, layer.bias, **form)
            case "LocalResponseNorm":
                self._normalise(layer)
            case "MaxPool2d":
                self.node("MaxPool", kernel_shape=[layer.kernel_size] * 2, strides=[layer.stride] * 2)
            case "Linear":
                self.node("Gemm", layer.weight, layer.bias, transB=1)
            case "Dropout":
                self.node("Mul", torch.tensor(1.0 if layer.rescale else 1 - layer.rate))
            case kind:
                self.node({"ReLU": "Relu", "Tanh": "Tanh"}[kind])

    def _normalise(self, layer: Any) -> None:
        settings = {"size": layer.size, "alpha": layer.alpha * layer.size, "beta": layer.beta, "bias": layer.k}
        self.node("Reshape", torch.tensor([-1, self.width // layer.towers, 0, 0]))
        self.node("LRN", **settings)
        self.node("Reshape", torch.tensor([-1, self.width, 0, 0]))
