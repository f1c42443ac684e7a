"""What a training takes over from a trained network: design, preprocessing, layers, and rows of the head by name.

The source's preprocessing stays, because pixels divided by d change the effective rate of conv1 by d^2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from alexnet import config
from alexnet.config import Train, Value
from alexnet.data.imagenet import words
from alexnet.data.listing import Source
from alexnet.data.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.foreign.trained import TrainedNetwork
from alexnet.models.dropout import Dropout
from alexnet.models.network import Network
from alexnet.models.variants import inputs, stored_size
from alexnet.records import Ancestor, Inherited
from alexnet.training import plan
from alexnet.training.schedule import highest

FEW = 20
"""Training pictures a class below which fine-tuning is worse than a head on frozen features."""

LARGEST = 163
"""Side of the largest input, in pixels, that is chosen for new layers behind a network of a smaller one."""

NOT_OURS = ("variant", "activation", "lrn", "alpha_factor", "pooling", "without", "divide_pixels_by")
"""Settings that only the source decides."""


@dataclass(frozen=True)
class Planted:
    """A network that has taken over a trained one, its mean image (S, S, 3) in 0..255, and what came from where."""

    model: Network
    mean: NDArray[np.float32]
    ancestor: Ancestor


def take_over(settings: Train, changes: Mapping[str, Value], source: TrainedNetwork) -> Train:
    """Returns the settings of a training that starts from a trained network: the source's where only it decides.

    Args:
        settings: The settings of the recipe with the changes.
        changes: What the user chose.
        source: The trained network.

    Raises:
        UsageError: A change contradicts the source, or names a layer to freeze that the network does not have.
    """
    design, header = source.weights.model.design, source.weights.header
    own: dict[str, Value] = {name: getattr(design, name) for name in NOT_OURS[:-1]}
    own["divide_pixels_by"] = header.preprocessing.divide_pixels_by
    for name, value in own.items():
        if name in changes and changes[name] != value:
            raise UsageError(
                f"`{name}={changes[name]}` contradicts {source.name}, which has {value}: leave it away, or start from "
                "another network"
            )
    mean, own_side = len(source.weights.mean), source.weights.model.input_size
    side = changes.get("input_size") or own_side
    assert isinstance(side, int)  # whoever gives changes has checked them
    stored = mean if side == own_side else round(mean * side / own_side)
    own |= {"input_size": side, "stored_size": changes.get("stored_size") or stored}
    if settings.renew == "none":
        own["dropout"] = changes.get("dropout", design.dropout)
    settings = config.change(settings, own)
    if settings.freeze != "none" and settings.freeze not in source.weights.model.order:
        layers = ", ".join(learning(source.weights.model)[:-1])
        raise UsageError(f"{source.name} has no layer `freeze={settings.freeze}`; it has {layers}")
    if settings.head_first and settings.freeze == "none" and not settings.body_rate:
        raise UsageError("`body_rate=0` trains the head alone: take `epochs=0`, whose head is the best there is")
    return settings


def check_classes(settings: Train, store: Store) -> None:
    """Refuses data that no head can be fitted to.

    Raises:
        DataError: There is one class, or one without training pictures, or there are fewer pictures than classes.
    """
    if "train" not in store.splits:
        return  # `plan.check_fit` says so
    counts = np.bincount(store.splits["train"].labels, minlength=len(store.classes))
    if len(store.classes) < 2:
        raise DataError(f"{store.name} has one class: there is nothing to tell apart; add a folder of other pictures")
    if counts.sum() < len(store.classes):
        raise DataError(f"{store.name} has fewer training pictures ({counts.sum()}) than classes; add pictures")
    if settings.head_first and not counts.all():
        name = store.classes[int(counts.argmin())]
        raise DataError(f"{store.name} has no training pictures of {name!r}: add some, or remove the class")


def is_small(store: Store | Source) -> bool:
    """Returns whether there are too few training pictures a class to tune more than the head."""
    return len(store.splits["train"]) < FEW * len(store.classes)


def input_for(source: TrainedNetwork, side: int) -> int:
    """Returns the side of the input at which pictures with a shorter side of `side` pixels are tuned, pixels.

    Up to `LARGEST` it is the largest that enlarges no picture, and never less than the trained network's own.
    """
    model = source.weights.model
    suiting = (each for each in inputs(model.variant) if stored_size(model.variant, each) <= side)
    return max(model.input_size, next((each for each in suiting if each <= LARGEST), 0))


def plant(settings: Train, source: TrainedNetwork, classes: Sequence[str]) -> Planted:
    """Returns the network of the settings with all that it can take over from a trained one.

    Rows of the last layer of which the source knows no class are as the initialisation leaves them, or 0 where the
    head is fitted first.

    Raises:
        UsageError: The input is too small for the layers.
    """
    weights = source.weights
    model, theirs = plan.make_model(settings, len(classes)), weights.model.state_dict()
    ours, last = model.state_dict(), model.order[-1]
    kept, origins = matches(classes, weights.header.classes), dict[str, str]()
    for layer in learning(model):
        names = [name for name in ours if name.startswith(f"{layer}.")]
        if layer == last:
            origins[layer] = _fill_head(ours, theirs, layer, classes, weights.header.classes, kept, settings.head_first)
        elif all(ours[name].shape == theirs[name].shape for name in names):
            origins[layer] = source.name
            ours |= {name: theirs[name] for name in names}
        elif layer == "fc6":
            origins[layer] = f"{source.name}, interpolated"
            ours["fc6.bias"] = theirs["fc6.bias"]
            channels = weights.model.get_parameter("conv5.weight").shape[0]
            ours["fc6.weight"] = _interpolated(theirs["fc6.weight"], ours["fc6.weight"], channels)
        else:
            origins[layer] = "made anew"
    origins |= {layer: f"{origins[layer]}, then made anew" for layer in renewed(settings, model) if layer != last}
    model.load_state_dict(ours)
    _keep_scale(model, weights.model)
    layers = tuple(
        Inherited(
            layer=layer,
            origin=origin,
            parameters=sum(ours[name].numel() for name in ours if name.startswith(f"{layer}.")),
            rate=rate_of(settings, model, layer),
        )
        for layer, origin in origins.items()
    )
    ancestor = Ancestor(name=source.name, sha256=source.sha256, layers=layers, classes=kept)
    return Planted(model, _resized(weights.mean, settings.stored_size or len(weights.mean)), ancestor)


def rate_of(settings: Train, model: Network, layer: str) -> float:
    """Returns the highest learning rate of a layer's weights; 0 if it is frozen."""
    if layer in frozen(model, settings.freeze):
        return 0.0
    return highest(settings) * factor_of(settings, model, layer)


def factor_of(settings: Train, model: Network, layer: str) -> float:
    """Returns the learning rate of a layer that is not frozen, over that of the last."""
    return 1.0 if layer == model.order[-1] or layer in renewed(settings, model) else settings.body_rate


def frozen(model: Network, last: str) -> list[str]:
    """Returns the layers up to the one named, which keep their weights; none of `none`."""
    return [] if last == "none" else model.order[: model.order.index(last) + 1]


def renewed(settings: Train, model: Network) -> list[str]:
    """Returns the layers that are made anew: from `renew` to the last, but for frozen ones; never the last alone."""
    if settings.renew not in model.order:
        return []
    kept, behind = frozen(model, settings.freeze), model.order[model.order.index(settings.renew) :]
    layers = [layer for layer in learning(model) if layer in behind and layer not in kept]
    return layers if len(layers) > 1 else []


def freeze(model: Network, last: str) -> None:
    """Keeps the weights of all layers up to the one named as they are; they then cost no backward."""
    for layer in frozen(model, last):
        model.get_submodule(layer).requires_grad_(False)


def matches(classes: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """Returns class -> the source's class that is the same: by name, WordNet id, or word, if it is the only one."""
    owners: dict[str, set[str]] = {}
    for name in theirs:
        for word in _names(name):
            owners.setdefault(word, set()).add(name)
    kept = {}
    for name in classes:
        same = {name} & set(theirs) or set[str]().union(*(owners.get(word, set()) for word in _names(name)))
        if len(same) == 1:
            kept[name] = next(iter(same))
    return kept


def table(ancestor: Ancestor, settings: Train) -> list[str]:
    """Returns what came from where, a line a layer."""
    width = max(len(layer.origin) for layer in ancestor.layers)
    lines = [f"{'layer':<7}{'from':<{width + 2}}{'parameters':>12}  rate"]
    for layer in ancestor.layers:
        rate = f"{layer.rate:g}" if layer.rate else "frozen"
        lines.append(f"{layer.layer:<7}{layer.origin:<{width + 2}}{layer.parameters:>12,}  {rate}")
    lines.append(
        f"from {ancestor.name} too: {settings.variant}, {settings.input_size} of {settings.stored_size} pixels, mean "
        f"image, pixels divided by {settings.divide_pixels_by:g}; rates are in these units"
    )
    return lines


def _names(name: str) -> set[str]:
    """Returns the words that mean a class: its name, and what WordNet calls it."""
    known = [name, *(words(name) or "").split(",")]
    return {" ".join(word.replace("_", " ").replace("-", " ").casefold().split()) for word in known} - {""}


def learning(model: Network) -> list[str]:
    """Returns the layers that have weights, in the order they are called."""
    return [layer for layer in model.order if hasattr(model.get_submodule(layer), "weight")]


def _fill_head(
    ours: dict[str, Tensor],
    theirs: Mapping[str, Tensor],
    layer: str,
    classes: Sequence[str],
    known: Sequence[str],
    kept: Mapping[str, str],
    is_fitted: bool,
) -> str:
    """Fills the last layer row by row, and returns where it came from."""
    rows = {place: known.index(kept[name]) for place, name in enumerate(classes) if name in kept}
    fits = ours[f"{layer}.weight"].shape[1:] == theirs[f"{layer}.weight"].shape[1:]
    for kind in ("weight", "bias"):
        mine, other = ours[f"{layer}.{kind}"], theirs[f"{layer}.{kind}"]
        if is_fitted:
            mine.zero_()
        for row, its in rows.items() if fits else ():
            mine[row] = other[its]
    count = len(rows) if fits else 0
    if count == len(classes):
        return f"all {count:,} classes by name"
    return f"{count:,} of {len(classes):,} classes by name, the others new" if count else "made anew"


def _interpolated(theirs: Tensor, ours: Tensor, channels: int) -> Tensor:
    """Returns fc6's weights for maps of another side, at which they add up to about the same."""
    before, after = (round((each.shape[1] / channels) ** 0.5) for each in (theirs, ours))
    maps = theirs.view(-1, channels, before, before)
    wider: Tensor = F.interpolate(maps, size=(after, after), mode="bilinear", align_corners=False)
    return torch.mul(wider, (before / after) ** 2).flatten(1)


def _keep_scale(model: Network, source: Network) -> None:
    """Undoes what another rate of dropout changes at test time, where the network multiplies by what dropout keeps.

    A network without dropout keeps everything, and lacks the layers: the other one shows where they are.
    """
    shown = max(model, source, key=lambda network: network.design.dropout)
    scale = (1 - source.design.dropout) / (1 - model.design.dropout)
    for name, layer in shown.named_children():
        if isinstance(layer, Dropout) and not layer.rescale:
            behind = next(each for each in learning(shown) if shown.order.index(each) > shown.order.index(name))
            with torch.no_grad():
                model.get_parameter(f"{behind}.weight").mul_(scale)


def _resized(mean: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    if side == len(mean):
        return mean
    pixels = torch.from_numpy(mean).permute(2, 0, 1)[None]
    wider = F.interpolate(pixels, size=(side, side), mode="bilinear", align_corners=False, antialias=True)
    return np.ascontiguousarray(wider[0].permute(1, 2, 0).numpy())
