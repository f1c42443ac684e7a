"""Keras 3: standard layers and operations only, so that plain TensorFlow loads a file with none of our code.

Pictures are channels-last, so weights are transposed, and fc6's also follow the other order of flattening. Layers
carry the network's names. Normalisation is a product with a power of a 1 x 1 convolution of the squares, as in
`onnx.py`. Dropout is Keras's, which divides in training; where the network multiplies at test time instead, a
rescaling follows, and the two together do what the paper says in training as well.
"""

import importlib
import json
import os
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from alexnet.exports.format import Engine, Format, Input, Notes, PreprocessingSteps
from alexnet.exports.onnx import band
from alexnet.models.alexnet import PadEnd
from alexnet.models.dropout import Dropout
from alexnet.models.lrn import LocalResponseNorm, SameMapNorm
from alexnet.models.network import Network

if TYPE_CHECKING:
    from keras import KerasTensor, Layer, Model

NOTES = "alexnet.json"
"""The member of the archive that holds the notes; Keras ignores it."""


def module() -> ModuleType:
    """Returns Keras, running on PyTorch unless KERAS_BACKEND names another backend; files do not depend on it."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return importlib.import_module("keras")


def build(network: Network, preprocessing: PreprocessingSteps | None, notes: Notes) -> bytes:
    """Returns the contents of a `.keras` file, which holds the notes as `alexnet.json`; see `translate`."""
    whole = translate(network, preprocessing)
    with tempfile.TemporaryDirectory(prefix="alexnet-keras-") as folder:
        path = Path(folder) / "alexnet.keras"
        whole.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(NOTES, json.dumps(dict(notes), indent=1))
        return path.read_bytes()


def engine(content: bytes) -> Engine:
    """Loads the contents of a file into Keras."""
    keras = module()
    with tempfile.TemporaryDirectory(prefix="alexnet-keras-") as folder:
        path = Path(folder) / "alexnet.keras"
        path.write_bytes(content)
        loaded = keras.saving.load_model(path, compile=False)

    def run(images: Input) -> NDArray[np.float32]:
        ready = images if images.dtype == np.uint8 else images.transpose(0, 2, 3, 1)
        return np.asarray(loaded.predict_on_batch(ready))

    return Engine(f"Keras {keras.__version__} on {keras.backend.backend()}", run)


FORMAT = Format("keras", ".keras", {"decomposed": build}, engine, needs=("keras",))


def translate(network: Network, preprocessing: PreprocessingSteps | None = None) -> "Model":
    """Returns a Keras model, from float (N, S, S, 3) or, with preprocessing, uint8 (N, H, W, 3) to (N, C)."""
    keras = module()
    side = network.input_size
    if preprocessing is None:
        start = tensor = keras.Input((side, side, 3), name="images")
    else:
        start = keras.Input((None, None, 3), dtype="uint8", name="pictures")
        tensor = _preprocess(keras, start, preprocessing)
    for name in network.order:
        tensor = _layer(keras, name, getattr(network, name), tensor)
    end = keras.layers.Softmax(name="probabilities")(tensor)
    return keras.Model(start, end, name=network.variant.replace("-", "_"))


def _layer(keras: ModuleType, name: str, layer: nn.Module, tensor: "KerasTensor") -> "KerasTensor":
    layers = keras.layers
    match layer:
        case nn.Conv2d():
            return _convolution(keras, name, layer, tensor)
        case nn.Linear():
            return _product(keras, name, layer, tensor)
        case nn.ReLU() | nn.Tanh():
            return layers.Activation("relu" if isinstance(layer, nn.ReLU) else "tanh", name=name)(tensor)
        case nn.MaxPool2d():
            edges = "same" if layer.ceil_mode else "valid"  # for windows of 2 at stride 2 the same
            return layers.MaxPooling2D(layer.kernel_size, layer.stride, edges, name=name)(tensor)
        case LocalResponseNorm() | SameMapNorm():
            return _norm(keras, name, layer, tensor)
        case Dropout():
            tensor = layers.Dropout(layer.rate, name=name)(tensor)
            return tensor if layer.rescale else layers.Rescaling(1 - layer.rate, name=f"{name}_keep")(tensor)
        case PadEnd():
            height, width = (-(length - layer.kernel) % layer.stride for length in tensor.shape[1:3])
            return layers.ZeroPadding2D(((0, height), (0, width)), name=name)(tensor)
        case _:
            raise AssertionError(f"no Keras for {name}, a {type(layer).__name__}")


def _weigh(layer: "Layer", tensor: "KerasTensor", *weights: NDArray[np.float32]) -> "KerasTensor":
    """Calls a layer, which makes its variables, and then sets them."""
    result = layer(tensor)
    layer.set_weights(weights)
    return result


def _norm(keras: ModuleType, name: str, layer: LocalResponseNorm | SameMapNorm, tensor: "KerasTensor") -> "KerasTensor":
    layers, channels = keras.layers, tensor.shape[-1]
    squares = layers.Multiply(name=f"{name}_squares")([tensor, tensor])
    if isinstance(layer, LocalResponseNorm):
        convolve = layers.Conv2D(channels, 1, trainable=False, name=f"{name}_sums")
        weight, bias = band(layer, channels).T[None, None], np.full(channels, layer.k, np.float32)
        sums = _weigh(convolve, squares, weight, bias)
    else:
        padded = layers.ZeroPadding2D(layer.size // 2, name=f"{name}_pad")(squares)
        means = layers.AveragePooling2D(layer.size, 1, name=f"{name}_means")(padded)
        sums = layers.Rescaling(layer.alpha * layer.size**2, layer.k, name=f"{name}_sums")(means)
    return layers.Multiply(name=name)([tensor, keras.ops.power(sums, -layer.beta)])


def _convolution(keras: ModuleType, name: str, layer: nn.Conv2d, tensor: "KerasTensor") -> "KerasTensor":
    padding, kernel = int(layer.padding[0]), layer.kernel_size[0]
    is_same = layer.stride[0] == 1 and 2 * padding == kernel - 1
    if padding and not is_same:
        tensor = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(tensor)
    edges = "same" if is_same else "valid"
    convolve = keras.layers.Conv2D(layer.out_channels, kernel, layer.stride[0], edges, groups=layer.groups, name=name)
    weight, bias = (values.detach().numpy() for values in layer.parameters())
    return _weigh(convolve, tensor, weight.transpose(2, 3, 1, 0), bias)


def _product(keras: ModuleType, name: str, layer: nn.Linear, tensor: "KerasTensor") -> "KerasTensor":
    weight, bias = (values.detach().numpy() for values in layer.parameters())
    if name == "fc6":
        height, width, channels = tensor.shape[1:]
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(weight.shape)
        tensor = keras.layers.Flatten(name="flatten")(tensor)
    return _weigh(keras.layers.Dense(layer.out_features, name=name), tensor, weight.T, bias)


def _preprocess(keras: ModuleType, pictures: "KerasTensor", preprocessing: PreprocessingSteps) -> "KerasTensor":
    layers, side, view = keras.layers, preprocessing.stored_size, preprocessing.view
    is_centre = preprocessing.square == "centre"
    resize = layers.Resizing(side, side, crop_to_aspect_ratio=is_centre, antialias=is_centre)
    images = resize(keras.ops.cast(pictures, "float32"))
    images = keras.ops.round(images) if is_centre else keras.ops.floor(images)
    images = layers.Cropping2D(((view.start, side - view.stop),) * 2, name="view")(images)
    normalise = layers.Normalization(axis=(1, 2, 3), name="less_the_mean")
    mean = preprocessing.mean_of_view
    return _weigh(normalise, images, mean, np.full_like(mean, preprocessing.divide_pixels_by**2), np.array(1))
