"""What is shown of a picture beside its names: where the network looks, what is like it, what layers make of it."""

import io
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image

from alexnet.evaluation.classifier import Classifier
from alexnet.explaining.explain import explain_picture, label_of, preprocessed
from alexnet.explaining.maps import Method
from alexnet.models.variants import VARIANTS
from alexnet.serving.answers import Activations, Map, Neighbour
from alexnet.serving.served import Pixels, Served

NearestTo = Callable[[Classifier, Pixels, int], tuple[Neighbour, ...]]


@dataclass(frozen=True)
class Index:
    """An index of pictures by the features of the network with these weights (SHA-256), and how it is searched."""

    weights: str
    nearest: NearestTo


def explanation(served: Served, picture: Pixels, method: Method, class_name: str | None) -> Map:
    """Returns where a network looks on a picture for a class, by its name or words; None takes the first guess.

    Raises:
        UsageError: There is no such class.
    """
    label = None if class_name is None else label_of(served.exact.classes, class_name)
    drawn = explain_picture(served.exact, "picture", picture, method, label, "mean")
    one, checks = drawn.explanation, drawn.explanation.checks
    scores = {"rank_correlation": checks.rank_correlation, **structs.asdict(checks.deletion)}
    return Map(
        class_name=one.class_name,
        label=served.labels[one.class_name],
        method=method,
        map=_url(drawn.overlaid()),
        passed=one.failure is None,
        failure=one.failure,
        scores=scores,
    )


def activations(served: Served, picture: Pixels, layer: str) -> Activations:
    """Returns the maps of a layer of `Served.layers`, a picture a tower, all on one scale from zero to the largest."""
    model = served.exact.model
    with torch.inference_mode():
        maps = model.activations(preprocessed(served.exact, picture)[None], layer)[layer][0].numpy()
    low, high = min(0.0, float(maps.min())), float(maps.max())
    levels = ((maps - low) * (255 / max(high - low, 1e-12))).round().astype(np.uint8)
    row = VARIANTS.get(model.variant)
    towers = np.split(levels, row.towers if row else 1)
    columns = int(np.ceil(len(towers[0]) ** 0.5))
    return Activations(
        layer=layer, shape=maps.shape, towers=tuple(_sheet(tower, columns) for tower in towers), columns=columns
    )


def _sheet(maps: NDArray[np.uint8], columns: int) -> str:
    """Returns maps (C, H, W) side by side, row after row, as the data URL of a PNG."""
    channels, height, width = maps.shape
    rows = -(-channels // columns)
    whole = np.zeros((rows * columns, height, width), np.uint8)
    whole[:channels] = maps
    sheet = whole.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    file = io.BytesIO()
    Image.fromarray(sheet).save(file, "PNG")
    return _url(file.getvalue())


def _url(png: bytes) -> str:
    return f"data:image/png;base64,{b64encode(png).decode()}"
