"""The same networks as most people write them, in plain PyTorch, and as an ONNX file."""

from torch import Tensor, nn

from alexnet.benches.size import Size
from alexnet.exports.onnx import graph
from alexnet.models.create import create


class TowerNorm(nn.LocalResponseNorm):
    """PyTorch's normalisation, run over each tower separately: a picture becomes two pictures of half the channels."""

    def forward(self, images: Tensor) -> Tensor:
        """Returns the normalised maps; same shape."""
        count, channels, height, width = images.shape
        halves = images.reshape(2 * count, channels // 2, height, width)
        return super().forward(halves).reshape(images.shape)


def two_tower(side: int) -> nn.Module:
    """Returns the paper's network for inputs of `side` pixels: grouped convolutions, ReLU in place, PyTorch's LRN."""
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
    """Returns torchvision's simplified network, layer by layer: narrower, one tower, no normalisation.

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


def write_onnx(size: Size, path: str) -> None:
    """Writes the two-tower network as an ONNX file, its normalisation as ONNX's own operator."""
    import onnx

    onnx.save(graph(create("alexnet-two-tower", input_size=size.input_size).eval()), path)


def _pooled(side: int) -> int:
    """Returns the side of pool5's map: a convolution of 11 pixels at stride 4, three poolings of 3 at stride 2."""
    side = (side - 11) // 4 + 1
    for _ in range(3):
        side = (side - 3) // 2 + 1
    return side
