"""What a layer of a trained network gives on pictures, batch by batch.

for batch in features(alexnet.load("runs/mine"), open_data("~/pictures"), "fc7"):
    index.add(batch.features)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alexnet.data.store import Store
from alexnet.errors import UsageError
from alexnet.evaluation.classifier import Classifier
from alexnet.evaluation.evaluate import check_size, over, splits_of
from alexnet.models.network import Network
from alexnet.observer import Observer


@dataclass(frozen=True)
class Batch:
    """The features of some pictures of a split, in its order."""

    split: str
    names: tuple[str, ...]  # N, as the source has them
    labels: NDArray[np.int64]  # (N,), positions in the classes of the data
    features: NDArray[np.float32]  # (N, units), or (N, C, H, W) of a convolutional layer


def layer_of(model: Network, name: str | None) -> str:
    """Returns the layer of `model.order` whose outputs a name stands for.

    As in Caffe, `conv3` and `fc7` stand for what comes out of their ReLU; the last layer has none. None is the layer
    that the last one reads, without its dropout: AlexNet's fc7.

    Raises:
        UsageError: There is no such layer.
    """
    if name is None:
        return model.feature_layer
    if name not in model.order:
        raise UsageError(f"no layer {name!r}; there are {', '.join(model.order)}")
    behind = model.order[model.order.index(name) + 1 :]
    is_activated = name.startswith(("conv", "fc")) and bool(behind) and behind[0].startswith(("relu", "tanh"))
    return behind[0] if is_activated else name


def features(
    classifier: Classifier,
    store: Store,
    layer: str | None = None,
    views: int = 1,
    splits: Sequence[str] | None = None,
    observer: Observer | None = None,
) -> Iterator[Batch]:
    """Yields the outputs of a layer for every picture of a store; memory does not grow with the number of pictures.

    Args:
        classifier: The network and its preprocessing.
        store: Pictures of the size that the network takes; `open_data` makes one of any source.
        layer: As in `layer_of`.
        views: 1, the centre; or 10, over which the outputs are averaged.
        splits: Splits of the store, in this order; None takes all.
        observer: Is told how many pictures are done.

    Raises:
        UsageError: There is no such layer or split, or the stored pictures are of another size or shape.
    """
    name, observer = layer_of(classifier.model, layer), observer or Observer()
    check_size(classifier, store)
    parts = splits_of(store, "+".join(splits or store.splits))
    done, total = 0, sum(map(len, parts.values()))
    for split, part in parts.items():
        for places, outputs in over(part, store.size, lambda pictures: classifier.outputs(pictures, name, views)):
            yield Batch(split, tuple(part.name(int(i)) for i in places), part.labels[places], outputs)
            done += len(places)
            observer.advanced(done, total)
