"""cuda-convnet's checkpoints, of the code of 2011 to 2014: a pickle of Python 2, plain or as the `data` of a zip.

`model_state` holds `layers`, a list of dicts or a dict of dicts by name, each with its `inputs`, and with `weights`
(one matrix for each input) and `biases` where it learns. Towers are separate layers (`conv2a`, `conv2b`), merged here:
layers of equal depth stand side by side, in the order of their names, and a matrix goes where its input stands. So the
order of the inputs, which the second tower's fc7 names as (b, a), takes care of itself.

    conv      (channels * k * k, filters), rows as channel, y, x       RGB, correlation
    fc        (inputs, outputs), rows as channel, y, x
    padding   stored negated
    scale     of normalisation: alpha, divided by its window already

Source: docs of cuda-convnet; convnet.py, layer.py of the 2012 source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from alexnet import pickles
from alexnet.data.imagenet import DEVKIT
from alexnet.errors import CheckpointError
from alexnet.foreign.imported import LAYERS, Imported, counts, identify, shapes
from alexnet.models.lrn import SameMapNorm
from alexnet.pickles import Array, PickleError

COLOUR = (127.30, 119.72, 104.91)
"""RGB mean of the `batches.meta` that came with cuda-convnet2."""

_OURS = {
    **{"conv": "conv", "fc": "fc", "neuron": "relu", "cmrnorm": "norm", "rnorm": "same", "pool": "pool"},
    **{"hs": "drop", "dropout": "drop", "dropout2": "drop"},
}
_ENDS = ("data", "softmax", "cost")
_INERT = ("options",)
"""The module of the options that a checkpoint keeps beside the network: of no use here, and not built."""

_MAX_LAYERS = 500


@dataclass
class _Layer:
    name: str
    kind: str
    values: dict[str, Any]
    inputs: list[str]

    @property
    def learns(self) -> bool:
        return self.kind in ("conv", "fc")

    def number(self, key: str, default: float | None = None) -> float:
        """Gives a number that may stand in a list, one for each input."""
        value = self.values.get(key, default)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
            raise PickleError(f"{self.name} has no number {key!r} that can be")
        return value


def read(name: str, data: memoryview, asked: str | None) -> Imported:
    """Reads a checkpoint.

    Args:
        name: What errors call the file.
        data: The pickle.
        asked: The variant that the user says it is.

    Raises:
        CheckpointError: It is damaged, wants code to be run, or holds no AlexNet.
        UsageError: It does not tell its variant.
    """
    try:
        layers = _layers(pickles.read(data, inert=_INERT)[0])
        stages = _stages(layers)
        counts(name, *(sum(stage[0].kind == kind for stage in stages) for kind in ("conv", "fc")))
        tensors, mapping = _tensors(layers, stages)
        found = {**shapes(name, tensors), **_structure(layers, stages)}
        row = identify(name, found, asked)
        drops = [layer for layer in layers.values() if _OURS.get(layer.kind) == "drop"]
        return Imported(
            dialect="cuda-convnet",
            variant=row,
            tensors={key: torch.from_numpy(value) for key, value in tensors.items()},
            mapping=mapping,
            class_order=DEVKIT,
            mean=None,
            input_size=int(stages[0][0].number("imgSize")),
            dropout=_dropout(drops[0]) if drops else None,
            rescale_dropout=any(layer.kind == "dropout" for layer in drops),
            translated=_translated(stages, found),
        )
    except PickleError as error:
        raise CheckpointError(f"{name} is no checkpoint of cuda-convnet that can be read: {error}") from error


def read_mean(name: str, data: memoryview) -> NDArray[np.float32]:
    """Reads the mean image of a `batches.meta`: RGB (S, S, 3), 0..255.

    Raises:
        CheckpointError: It is damaged, or has none.
    """
    try:
        meta = pickles.read(data)[0]
        mean = _values(meta.get("data_mean") if isinstance(meta, dict) else None, "data_mean")
    except PickleError as error:
        raise CheckpointError(f"{name} is no batches.meta that can be read: {error}") from error
    side = round((mean.size / 3) ** 0.5)
    if mean.size != 3 * side * side or not mean.size:
        raise CheckpointError(f"{name} holds a mean of {mean.size:,} values, expected three square channels")
    return np.ascontiguousarray(mean.reshape(3, side, side).transpose(1, 2, 0).astype(np.float32))


def _layers(checkpoint: Any) -> dict[str, _Layer]:
    state = checkpoint.get("model_state") if isinstance(checkpoint, dict) else None
    listed = state.get("layers") if isinstance(state, dict) else None
    if not isinstance(listed, (list, dict)):
        raise PickleError("it has no model_state with layers")
    values = list(listed.values()) if isinstance(listed, dict) else listed
    if len(values) > _MAX_LAYERS or not all(isinstance(each, dict) for each in values):
        raise PickleError(f"{len(values):,} layers, or some that are none")
    names = [each.get("name") for each in values]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise PickleError("layers without names of their own")
    layers = {}
    for each in values:
        kind = each.get("type")
        if not isinstance(kind, str):
            raise PickleError(f"it holds a layer {each['name']} of no kind")
        if kind not in _OURS and not kind.startswith(_ENDS):
            raise PickleError(f"it holds a layer {each['name']} of kind {kind[:40]!r}; an AlexNet has none")
        layers[each["name"]] = _Layer(each["name"], kind, each, _inputs(each, names))
    return layers


def _inputs(layer: dict[str, Any], names: list[Any]) -> list[str]:
    """Gives the names of a layer's inputs, which stand as dicts, names or places in the list."""
    known = set(names)
    inputs = []
    for each in layer.get("inputLayers") or layer.get("inputs") or []:
        name = each.get("name") if isinstance(each, dict) else each
        if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(names):
            name = names[name]
        if not isinstance(name, str) or name not in known:
            raise PickleError(f"{layer['name']} has an input that is not there")
        inputs.append(name)
    return inputs


def _stages(layers: dict[str, _Layer]) -> list[list[_Layer]]:
    """Gives the layers that learn by their depth: those side by side are the towers, in the order of their names."""
    depth: dict[str, int] = {}
    waiting = list(layers.values())
    while waiting:
        later = []
        for layer in waiting:
            if all(name in depth for name in layer.inputs):
                depth[layer.name] = max((depth[name] for name in layer.inputs), default=0) + layer.learns
            else:
                later.append(layer)
        if len(later) == len(waiting):
            raise PickleError(f"{later[0].name} depends on itself")
        waiting = later
    learning = [layer for layer in layers.values() if layer.learns]
    stages: list[list[_Layer]] = [[] for _ in range(max((depth[layer.name] for layer in learning), default=0))]
    for layer in sorted(learning, key=lambda layer: layer.name):
        stages[depth[layer.name] - 1].append(layer)
    for stage in stages:
        if len({layer.kind for layer in stage}) > 1 or len(stage) > 2:
            raise PickleError(
                f"{', '.join(layer.name for layer in stage[:9])} stand side by side; an AlexNet has two towers"
            )
    return stages


def _tensors(
    layers: dict[str, _Layer], stages: list[list[_Layer]]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    tensors, mapping = {}, {}
    above: list[str] = []
    for ours, stage in zip(LAYERS, stages, strict=True):
        rows, shapes_ = [], []
        for tower, layer in enumerate(stage):
            origins = [_origin(layers, name) for name in layer.inputs]
            matrices = [_values(each, layer.name) for each in _list(layer, "weights")]
            if len(matrices) != len(origins) or any(matrix.ndim != 2 for matrix in matrices):
                raise PickleError(f"{layer.name} has {len(matrices)} matrices for {len(origins)} inputs")
            parts = dict(zip(origins, (_oriented(layer, matrix) for matrix in matrices), strict=True))
            if len(parts) < len(origins) or not _is_joined(stage, tower, list(parts), above):
                raise PickleError(f"{layer.name} reads {', '.join(layer.inputs)}; no AlexNet is joined like that")
            rows.append([parts[name] for name in above if name in parts] or list(parts.values()))
            shapes_ += [str(matrix.shape) for matrix in matrices]
        try:
            tensors[f"{ours}.weight"] = _joined(rows)
            biases = [_values(layer.values.get("biases"), layer.name).reshape(-1) for layer in stage]
            tensors[f"{ours}.bias"] = np.concatenate(biases).astype(np.float32)
        except ValueError as error:
            raise PickleError(f"the towers of {ours} do not fit together") from error
        mapping[ours] = f"{', '.join(layer.name for layer in stage)}: {', '.join(shapes_)}"
        above = [layer.name for layer in stage]
    return tensors, mapping


def _joined(rows: list[list[NDArray[Any]]]) -> NDArray[np.float32]:
    """Puts the parts of each tower side by side, and the towers on top of each other."""
    if len({(sum(part.shape[1] for part in parts), *parts[0].shape[2:]) for parts in rows}) > 1:
        raise ValueError("towers of unequal width")
    outputs = sum(parts[0].shape[0] for parts in rows)
    joined = np.empty((outputs, sum(part.shape[1] for part in rows[0]), *rows[0][0].shape[2:]), np.float32)
    top = 0
    for parts in rows:
        joined[top : top + parts[0].shape[0]] = np.concatenate(parts, 1)
        top += parts[0].shape[0]
    return joined


def _is_joined(stage: list[_Layer], tower: int, origins: list[str], above: list[str]) -> bool:
    """Whether a layer reads both towers, or its own where there are as many."""
    if not above:
        return len(origins) == 1
    own = [above[tower]] if len(above) == len(stage) else above
    return sorted(origins) == sorted(above) or (stage[0].kind == "conv" and origins == own)


def _oriented(layer: _Layer, matrix: NDArray[Any]) -> NDArray[Any]:
    """Gives (outputs, inputs) or (filters, channels, k, k), a view."""
    if layer.kind == "fc":
        return matrix.T
    side = int(layer.number("filterSize"))
    if side < 1 or matrix.shape[0] % (side * side):
        raise PickleError(f"{layer.name} has filters of {matrix.shape[0]} values, which are no squares of side {side}")
    return matrix.reshape(-1, side, side, matrix.shape[1]).transpose(3, 0, 1, 2)


def _structure(layers: dict[str, _Layer], stages: list[list[_Layer]]) -> dict[str, Any]:
    """Gives the order of the layers, their geometry and the constants of normalisation, as attributes of a variant."""
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
    if blocks[2:4] != ["conv relu"] * 2 or blocks[5] != blocks[6]:
        raise PickleError(f"the layers stand as {' | '.join(blocks)}, which no AlexNet's do")
    _check_geometry(layers.values(), stages)
    found = {
        "towers": len(stages[0]),
        "conv1_padding": {0: "end", 2: "both"}.get(-int(stages[0][0].number("padding", 0)), "other"),
        **{"block1": blocks[0], "block2": blocks[1], "block5": blocks[4], "head": blocks[5]},
    }
    constants = {
        (int(layer.number("size")), layer.number("scale"), layer.number("pow"), layer.number("minDiv", 1.0))
        for layer in layers.values()
        if layer.kind == "cmrnorm"
    }
    if len(constants) > 1:
        raise PickleError(f"it normalises with different constants in different layers: {constants}")
    return found | (dict(zip(("size", "alpha", "beta", "k"), *constants, strict=True)) if constants else {})


def _chain(layer: _Layer, following: dict[str, list[_Layer]]) -> Iterable[str]:
    """Gives the kinds of a layer and of those after it, up to the next that learns."""
    while True:
        yield _OURS[layer.kind]
        after = [each for each in following.get(layer.name, []) if not each.learns and each.kind in _OURS]
        if not after:
            return
        layer = after[0]


def _check_geometry(layers: Iterable[_Layer], stages: list[list[_Layer]]) -> None:
    for i, stage in enumerate(stages[:5]):
        for layer in stage:
            stride, padding = layer.number("stride", 1), -layer.number("padding", 0)
            if stride != (4, 1, 1, 1, 1)[i] or (i and padding != (0, 2, 1, 1, 1)[i]) or layer.number("groups", 1) != 1:
                raise PickleError(f"{layer.name} has stride {stride} and padding {padding}, which no AlexNet has")
    same = SameMapNorm()
    for layer in layers:
        if layer.kind == "pool":
            window = (layer.values.get("pool", "max"), layer.number("sizeX"), layer.number("stride"))
            if window != ("max", 3, 2) or layer.number("start", 0):
                raise PickleError(f"{layer.name} pools {window}; expected the maximum of windows of 3 at stride 2")
        elif layer.kind == "neuron":
            neuron = layer.values.get("neuron")
            kind = neuron.get("type") if isinstance(neuron, dict) else neuron
            if kind != "relu":
                found = f" {kind[:40]}" if isinstance(kind, str) else ""
                raise PickleError(f"{layer.name} is a neuron{found}; expected relu")
        elif layer.kind == "rnorm":
            constants = [layer.number(key, 1.0) for key in ("size", "scale", "pow", "minDiv")]
            if not np.allclose(constants, [same.size, same.alpha, same.beta, same.k], rtol=1e-4):
                raise PickleError(f"{layer.name} normalises with size, scale, pow, minDiv of {constants}")


def _dropout(layer: _Layer) -> float:
    keep = layer.number("keep", 0.5)
    if not 0 < keep <= 1:
        raise PickleError(f"{layer.name} keeps {keep}, expected above 0 and at most 1")
    return 1 - keep


def _translated(stages: list[list[_Layer]], found: dict[str, Any]) -> list[str]:
    said = ["weights: turned from (inputs, outputs) to (outputs, inputs)"]
    if len(stages[0]) > 1:
        said.append("towers: joined side by side, each matrix where its input stands")
    if "alpha" in found:
        said.append(f"local response normalisation: alpha {found['alpha']:.4g} is divided by its window already")
    return said


def _origin(layers: dict[str, _Layer], name: str) -> str:
    """Gives the layer that learns, or the data, from which an input comes."""
    layer = layers[name]
    while not layer.learns and layer.inputs:
        layer = layers[layer.inputs[0]]
    return layer.name


def _list(layer: _Layer, key: str) -> list[Any]:
    value = layer.values.get(key)
    return value if isinstance(value, list) else [value]


def _values(value: Any, name: str) -> NDArray[Any]:
    if not isinstance(value, Array) or value.values is None or value.values.dtype.kind != "f":
        raise PickleError(f"{name} has no array of floats")
    return value.values
