"""cuda-convnet's checkpoints, of the code of 2011 to 2014: a pickle of Python 2, plain or as the `data` of a zip.

`model_state` holds `layers`, a list of dicts or a dict of dicts by name, each with its `inputs`, and with `weights`
(one matrix for each input) and `biases` where it learns. Towers are separate layers (`conv2a`, `conv2b`), merged here:
layers of equal depth stand side by side, in the order of their names, and each matrix goes where its input stands.
The second tower's fc7 may therefore name its inputs as (b, a).

    conv      (channels * k * k, filters), rows as channel, y, x       RGB, correlation
    fc        (inputs, outputs), rows as channel, y, x
    padding   stored negated
    scale     of normalisation: alpha, divided by its window already

Source: docs of cuda-convnet; convnet.py, layer.py of the 2012 source.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import pickles
from alexnet.data.imagenet import DEVKIT
from alexnet.errors import CheckpointError
from alexnet.foreign import imported
from alexnet.foreign.imported import Dialect, Imported, Outline
from alexnet.models.lrn import SameMapNorm
from alexnet.models.variants import LAYERS
from alexnet.pickles import Array, PickleError

_MEAN_COLOUR = (127.30, 119.72, 104.91)  # of the batches.meta that came with cuda-convnet2
DIALECT = Dialect(class_order=DEVKIT, mean_colour=_MEAN_COLOUR)

_OURS = {
    **{"conv": "conv", "fc": "fc", "neuron": "relu", "cmrnorm": "norm", "rnorm": "same", "pool": "pool"},
    **{"hs": "drop", "dropout": "drop", "dropout2": "drop"},
}
_ENDS = ("data", "softmax", "cost")
_CONV1_PADDING = {0: "end", 2: "both"}

_INERT = ("options",)  # the module of the options that a checkpoint keeps beside the network; they are not built
_MAX_LAYERS = 500


@dataclass(frozen=True)
class _Layer:
    name: str
    kind: str
    values: Mapping[str, object]
    inputs: list[str]

    @property
    def learns(self) -> bool:
        return self.kind in ("conv", "fc")

    def number(self, key: str, default: float | None = None) -> float:
        """Returns a number, the first one where the file has a list with one for each input."""
        value = self.values.get(key, default)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
            raise PickleError(f"{self.name} has no number {key!r} that can be")
        return value

    def constants(self) -> tuple[int, float, float, float]:
        return int(self.number("size")), self.number("scale"), self.number("pow"), self.number("minDiv", 1.0)


def read(name: str, data: memoryview, variant: str | None) -> Imported:
    """Reads a checkpoint."""
    try:
        layers = _layers(pickles.read(data, inert=_INERT)[0])
        stages = _stages(layers)
        imported.check_counts(name, *(sum(stage[0].kind == kind for stage in stages) for kind in ("conv", "fc")))
        arrays, mapping = _arrays(layers, stages)
        outline = imported.outline_of_shapes(name, {key: array.shape for key, array in arrays.items()})
        _check_geometry(name, layers.values(), stages)
        padding = _CONV1_PADDING.get(-int(stages[0][0].number("padding", 0)), "other")
        outline = replace(outline, towers=len(stages[0]), conv1_padding=padding)
        outline = imported.with_order(name, outline, _blocks(layers, stages))
        norms = {layer.constants() for layer in layers.values() if layer.kind == "cmrnorm"}
        outline = imported.with_normalisation(name, outline, norms)
        drops = [layer for layer in layers.values() if _OURS.get(layer.kind) == "drop"]
        return Imported(
            dialect=DIALECT,
            format="cuda-convnet",
            variant=imported.identify(name, outline, variant),
            tensors={key: torch.from_numpy(array) for key, array in arrays.items()},
            mapping=mapping,
            input_size=int(stages[0][0].number("imgSize")),
            dropout=_dropout(drops[0]) if drops else 0.5,
            rescale_dropout=any(layer.kind == "dropout" for layer in drops),
            translated=tuple(_translated(outline)),
        )
    except PickleError as error:
        raise CheckpointError(f"{name} is no checkpoint of cuda-convnet that can be read: {error}") from error


def read_mean(name: str, data: memoryview) -> NDArray[np.float32]:
    """Returns the mean image of a `batches.meta`: RGB (S, S, 3), 0..255."""
    try:
        meta = pickles.read(data)[0]
        mean = _floats(meta.get("data_mean") if isinstance(meta, dict) else None, "data_mean")
    except PickleError as error:
        raise CheckpointError(f"{name} is no batches.meta that can be read: {error}") from error
    side = round((mean.size / 3) ** 0.5)
    if mean.size != 3 * side * side or not mean.size:
        raise CheckpointError(f"{name} holds a mean of {mean.size:,} values, expected three square channels")
    return np.ascontiguousarray(mean.reshape(3, side, side).transpose(1, 2, 0).astype(np.float32))


def _layers(checkpoint: object) -> dict[str, _Layer]:
    state = checkpoint.get("model_state") if isinstance(checkpoint, dict) else None
    listed = state.get("layers") if isinstance(state, dict) else None
    if not isinstance(listed, (list, dict)):
        raise PickleError("it has no model_state with layers")
    dicts = list(listed.values()) if isinstance(listed, dict) else listed
    if len(dicts) > _MAX_LAYERS or not all(isinstance(each, dict) for each in dicts):
        raise PickleError(f"its layers are {len(dicts):,}, or not all of them are dicts")
    names = [each.get("name") for each in dicts]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise PickleError("its layers do not have names of their own")
    layers = {}
    for name, values in zip(names, dicts, strict=True):
        kind = values.get("type")
        if not isinstance(kind, str) or (kind not in _OURS and not kind.startswith(_ENDS)):
            raise PickleError(f"it holds a layer {name} of kind {_word(kind)!r}; an AlexNet has none")
        layers[name] = _Layer(name, kind, values, _inputs(name, values, names))
    return layers


def _inputs(layer: str, values: Mapping[str, object], names: list[str]) -> list[str]:
    """Returns the names of a layer's inputs, which the file holds as dicts, as names or as places in the list."""
    listed = values.get("inputLayers") or values.get("inputs") or []
    inputs = []
    for each in listed if isinstance(listed, (list, tuple)) else [listed]:
        name = each.get("name") if isinstance(each, dict) else each
        if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(names):
            name = names[name]
        if not isinstance(name, str) or name not in names:
            raise PickleError(f"{layer} has an input that is no layer")
        inputs.append(name)
    return inputs


def _stages(layers: dict[str, _Layer]) -> list[list[_Layer]]:
    """Returns the layers that learn by their depth: those side by side are the towers, in the order of their names."""
    depth: dict[str, int] = {}
    order = TopologicalSorter({layer.name: layer.inputs for layer in layers.values()})
    try:
        for name in order.static_order():
            depth[name] = max((depth[each] for each in layers[name].inputs), default=0) + layers[name].learns
    except CycleError as error:
        raise PickleError(f"{error.args[1][0]} depends on itself") from error
    # Lexicographic order within a depth puts the tower `a` before `b`.
    learning = [layers[name] for name in sorted(layers, key=lambda name: (depth[name], name)) if layers[name].learns]
    stages = [list(stage) for _, stage in groupby(learning, key=lambda layer: depth[layer.name])]
    for stage in stages:
        if len({layer.kind for layer in stage}) > 1 or len(stage) > 2:
            names = ", ".join(layer.name for layer in stage[:9])
            raise PickleError(f"{names} stand side by side; an AlexNet has two towers")
    return stages


def _arrays(
    layers: dict[str, _Layer], stages: list[list[_Layer]]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Returns weights and biases in our layout, and the `mapping` of an `Imported`."""
    arrays, mapping = {}, {}
    above: list[str] = []
    for ours, stage in zip(LAYERS, stages, strict=True):
        rows, shapes = [], []
        for tower, layer in enumerate(stage):
            origins = [_origin(layers, name) for name in layer.inputs]
            weights = layer.values.get("weights")
            matrices = [_floats(each, layer.name) for each in (weights if isinstance(weights, list) else [weights])]
            if len(matrices) != len(origins) or any(matrix.ndim != 2 for matrix in matrices):
                raise PickleError(f"{layer.name} has {len(matrices)} matrices for {len(origins)} inputs")
            parts = dict(zip(origins, (_oriented(layer, matrix) for matrix in matrices), strict=True))
            if len(parts) < len(origins) or not _is_joined(stage, tower, list(parts), above):
                raise PickleError(f"{layer.name} reads {', '.join(layer.inputs)}; no AlexNet is joined like that")
            rows.append([parts[name] for name in above if name in parts] or list(parts.values()))
            shapes += [str(matrix.shape) for matrix in matrices]
        try:
            # The parts of each tower stand side by side, and the towers on top of each other.
            towers = [np.concatenate(parts, 1, dtype=np.float32) for parts in rows]
            arrays[f"{ours}.weight"] = np.concatenate(towers) if len(towers) > 1 else towers[0]
            biases = [_floats(layer.values.get("biases"), layer.name).reshape(-1) for layer in stage]
            arrays[f"{ours}.bias"] = np.concatenate(biases, dtype=np.float32)
        except ValueError as error:
            raise PickleError(f"the towers of {ours} do not fit together") from error
        mapping[ours] = f"{', '.join(layer.name for layer in stage)}: {', '.join(shapes)}"
        above = [layer.name for layer in stage]
    return arrays, mapping


def _is_joined(stage: list[_Layer], tower: int, origins: list[str], above: list[str]) -> bool:
    """Returns whether a layer reads both towers above it, or a convolution reads its own alone."""
    if not above:
        return len(origins) == 1
    own = [above[tower]] if len(above) == len(stage) else above
    return sorted(origins) == sorted(above) or (stage[0].kind == "conv" and origins == own)


def _origin(layers: dict[str, _Layer], name: str) -> str:
    """Returns the layer that learns, or the data, from which an input comes."""
    layer = layers[name]
    while not layer.learns and layer.inputs:
        layer = layers[layer.inputs[0]]
    return layer.name


def _oriented(layer: _Layer, matrix: NDArray[np.generic]) -> NDArray[np.generic]:
    """Returns (outputs, inputs) or (filters, channels, k, k), a view."""
    if layer.kind == "fc":
        return matrix.T
    side = int(layer.number("filterSize"))
    if side < 1 or matrix.shape[0] % (side * side):
        raise PickleError(f"{layer.name} has filters of {matrix.shape[0]} values, which are no squares of side {side}")
    return matrix.reshape(-1, side, side, matrix.shape[1]).transpose(3, 0, 1, 2)


def _floats(value: object, name: str) -> NDArray[np.generic]:
    if not isinstance(value, Array) or value.values is None or value.values.dtype.kind != "f":
        raise PickleError(f"{name} has no array of floats")
    return value.values


def _blocks(layers: dict[str, _Layer], stages: list[list[_Layer]]) -> list[str]:
    """Returns the kinds of each stage and of the layers after it, in which its towers must agree."""
    following: dict[str, list[_Layer]] = {}
    for layer in layers.values():
        for name in layer.inputs:
            following.setdefault(name, []).append(layer)
    blocks = []
    for stage in stages:
        chains = {" ".join(_chain(layer, following)) for layer in stage}
        if len(chains) > 1:
            raise PickleError(f"the towers differ after {stage[0].name}: {', '.join(sorted(chains))}")
        blocks.append(chains.pop())
    return blocks


def _chain(layer: _Layer, following: dict[str, list[_Layer]]) -> Iterator[str]:
    """Yields the kinds of a layer and of those after it, up to the next that learns."""
    after: _Layer | None = layer
    while after:
        yield _OURS[after.kind]
        after = next((each for each in following.get(after.name, []) if not each.learns and each.kind in _OURS), None)


def _check_geometry(name: str, layers: Iterable[_Layer], stages: list[list[_Layer]]) -> None:
    for number, stage in enumerate(stages[:5], 1):
        for layer in stage:
            stride, padding = layer.number("stride", 1), -layer.number("padding", 0)
            imported.check_convolution(name, layer.name, number, stride, padding)
            if layer.number("groups", 1) != 1:
                raise PickleError(f"{layer.name} has groups, which the convolutions of an AlexNet in towers lack")
    same = SameMapNorm()
    for layer in layers:
        if layer.kind == "pool":
            window, stride, start = layer.number("sizeX"), layer.number("stride"), layer.number("start", 0)
            imported.check_pooling(name, layer.name, _word(layer.values.get("pool", "max")), window, stride, start)
        elif layer.kind == "neuron":
            neuron = layer.values.get("neuron")
            kind = neuron.get("type") if isinstance(neuron, dict) else neuron
            if kind != "relu":
                raise PickleError(f"{layer.name} is a neuron {_word(kind)}; expected relu")
        elif layer.kind == "rnorm":
            constants = [layer.number(key, 1.0) for key in ("size", "scale", "pow", "minDiv")]
            if not np.allclose(constants, [same.size, same.alpha, same.beta, same.k], rtol=1e-4):
                raise PickleError(f"{layer.name} normalises with size, scale, pow, minDiv of {constants}")


def _word(value: object) -> str:
    """Returns text from the file, cut; anything else is only named by its type, since it may be nested without end."""
    return value[:40] if isinstance(value, str) else f"({type(value).__name__})"


def _dropout(layer: _Layer) -> float:
    keep = layer.number("keep", 0.5)
    if not 0 < keep <= 1:
        raise PickleError(f"{layer.name} keeps {keep}, expected above 0 and at most 1")
    return 1 - keep


def _translated(outline: Outline) -> Iterator[str]:
    yield "weights: turned from (inputs, outputs) to (outputs, inputs)"
    if outline.towers == 2:
        yield "towers: joined side by side, each matrix where its input stands"
    if outline.alpha is not None:
        yield f"local response normalisation: alpha {outline.alpha:.4g} is divided by its window already"
