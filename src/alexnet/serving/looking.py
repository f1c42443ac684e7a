"""What is shown of a picture beside its names: where the network looks, what is like it, what layers make of it."""

import io
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from msgspec import structs
from numpy.typing import NDArray
from PIL import Image

from alexnet.data.labels import labels
from alexnet.errors import UsageError
from alexnet.explaining.explain import explain_picture, label_of, preprocessed
from alexnet.explaining.maps import Method
from alexnet.models.variants import VARIANTS
from alexnet.searching.index import Index
from alexnet.serving.answers import Activations, IndexedPicture, Map, Neighbours
from alexnet.serving.served import Pixels, ServedNetwork


def open_index(path: str | Path | None, models: Iterable[ServedNetwork]) -> Index | None:
    """Opens an index of pictures, as one of the networks describes them; no path is no index.

    Raises:
        UsageError: There is no such index, or it is of another network.
        DataError: A file of it is missing or damaged.
    """
    if path is None:
        return None
    index = Index.open(path)
    if index.contents.weights_sha256 not in [model.weights for model in models]:
        raise UsageError(f"{path} is an index of {index.contents.network}, which is not served: serve it too")
    return index


def neighbours(served: ServedNetwork, picture: Pixels, index: Index, top: int) -> Neighbours:
    """Returns the pictures of the network's own index that are most alike, by the folder and name of their files."""
    (near,) = index.nearest(served.classifier.outputs(picture[None], index.contents.layer), top)
    names = labels(index.contents.classes)
    return Neighbours(
        neighbours=tuple(
            IndexedPicture(
                picture="/".join(Path(one.path).parts[-2:]),
                class_name=one.class_name,
                label=names[one.class_name],
                distance=one.distance,
                thumbnail=_url(index.thumbnail(one.place), "jpeg"),
            )
            for one in near
        )
    )


def explanation(served: ServedNetwork, picture: Pixels, method: Method, class_name: str | None) -> Map:
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


def activations(served: ServedNetwork, picture: Pixels, layer: str) -> Activations:
    """Returns the maps of a layer that has some, a picture a tower, all on one scale from zero to the largest."""
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


def _url(image: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{b64encode(image).decode()}"
