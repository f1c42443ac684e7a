"""How processes divide a network and its batch.

    data     each has the whole network and some pictures of the batch; gradients are added up
    towers   each of two has one tower, half of every layer, and all pictures; they exchange what conv3, fc6, fc7 and
             fc8 read of both towers (facts: paper figure 2), as the two GPUs of 2012 did
    hybrid   convolutions as in `data`; fc6, fc7 and fc8 are cut, so that most weights never travel, only what
             they read (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks")

The network is made whole, then cut and hooked from outside: of `models` only dropout knows that it may be a part.
fc6 and fc7 are cut by their outputs; fc8 by its inputs, so that every process adds its part to the scores of all
classes. Each weight that is cut is trained by its owner alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from alexnet.errors import UsageError
from alexnet.models.lrn import LocalResponseNorm
from alexnet.models.network import Network
from alexnet.models.variants import LAYERS, VARIANTS
from alexnet.team import ALONE, Group, Team

CUT = {"data": (), "towers": LAYERS, "hybrid": ("fc6", "fc7", "fc8")}
"""Layers that are cut, by mode."""


class Part:
    """The part of a network that this process holds and trains.

    The model comes whole, and is cut down in place; gradients travel in the numbers of `reduction`. `fraction` is what
    fraction of the network's `parameters`, all weights and biases, the process holds.

    Raises:
        UsageError: The network cannot be cut for this team.
    """

    def __init__(self, model: Network, team: Team = ALONE, reduction: str = "float32") -> None:
        self.team, self.reduction = team, reduction
        self.parameters = sum(p.numel() for p in model.parameters())
        self._layers = [name for name in LAYERS if hasattr(model, name) and getattr(model, name).weight.requires_grad]
        self._cuts: dict[str, int] = {}  # name of a weight or bias -> dimension that it is cut along
        self._arriving: list[Callable[[], object]] = []
        if team.everyone.count > 1:
            _check(model, team)
            for name in CUT[team.mode]:
                self._cut(name, getattr(model, name))
            _join(model, team)
            _place_dropout(model, team)
            self._add_up_gradients(model)
        self._held = {name: p.numel() for name, p in model.named_parameters()}
        self.fraction = sum(self._held.values()) / self.parameters

    def mine(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns this process's parts of whole tensors, by parameter name."""
        return {name: self._part(name, tensor) for name, tensor in tensors.items() if name in self._held}

    def whole(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Returns whole tensors from everyone's parts, copied to the CPU; only those of the first process are whole."""
        group, cuts = self.team.model, self._cuts
        whole = {name: group.collect(each, cuts[name]) if name in cuts else each for name, each in tensors.items()}
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in whole.items()}

    def wait(self) -> None:
        """Waits until the sums of everyone's gradients have arrived."""
        for wait in self._arriving:
            wait()
        self._arriving.clear()

    def over_layers(self, sums: Tensor) -> Tensor:
        """Returns sums over whole layers, (layers, ...), from those over the part of each that this process holds."""
        if self.team.model.count == 1:
            return sums
        whole, is_cut = sums.clone(), [name in CUT[self.team.mode] for name in self._layers]
        whole[is_cut] = self.team.model.sum(sums[is_cut])
        return whole

    def _part(self, name: str, tensor: Tensor) -> Tensor:
        if name not in self._cuts:
            return tensor
        group = self.team.model
        return tensor.detach().chunk(group.count, self._cuts[name])[group.index].contiguous().clone()

    def _cut(self, name: str, layer: Any) -> None:
        """Cuts a layer by its outputs; fc8 by its inputs, and there one process keeps the biases."""
        is_last = name == "fc8"
        self._cuts[f"{name}.weight"] = int(is_last)
        learns = layer.weight.requires_grad
        layer.weight = nn.Parameter(self._part(f"{name}.weight", layer.weight), learns)
        if not is_last:
            self._cuts[f"{name}.bias"] = 0
            layer.bias = nn.Parameter(self._part(f"{name}.bias", layer.bias), learns)
        elif self.team.model.index:
            layer.bias = None
        if isinstance(layer, nn.Conv2d):
            layer.groups = 1  # a tower is one of the two groups

    def _add_up_gradients(self, model: Network) -> None:
        """Starts each sum as soon as backward has a gradient, while it computes the next ones."""
        for name, parameter in model.named_parameters():
            is_cut = name.partition(".")[0] in CUT[self.team.mode]
            group = self.team.data if is_cut else self.team.everyone
            if group.count > 1 and parameter.requires_grad:
                hook: Any = parameter.register_post_accumulate_grad_hook
                hook(partial(self._start, group))

    def _start(self, group: Group, parameter: Tensor) -> None:
        assert parameter.grad is not None
        gradient = parameter.grad.as_strided((parameter.numel(),), (1,))  # its memory, in whichever layout
        travelling = gradient.bfloat16() if self.reduction == "bf16" else gradient
        wait = group.start_sum(travelling)

        def arrive() -> None:
            wait()
            if travelling is not gradient:
                gradient.copy_(travelling)

        self._arriving.append(arrive)


def _check(model: Network, team: Team) -> None:
    if team.mode == "data":
        return
    if model.variant not in VARIANTS:
        raise UsageError(f"{model.variant} is too small to cut: take `parallel=data`")
    own, count = VARIANTS[model.variant], team.model.count
    if team.mode == "towers" and (absent := model.design.without) != "none":
        raise UsageError(f"`parallel=towers` needs every layer, this network is without {absent}: take `parallel=data`")
    if team.mode == "towers" and own.towers != 2:
        raise UsageError(f"{model.variant} has one tower; `parallel=towers` takes two: `variant=alexnet-two-tower`")
    if team.mode == "hybrid" and own.hidden % count:
        raise UsageError(f"`parallel=hybrid` cannot divide {own.hidden} units evenly among {count} processes")


def _join(model: Network, team: Team) -> None:
    """Hooks an exchange in wherever a layer reads what other processes have computed."""
    join: Any = _Join.apply
    add_up: Any = _Sum.apply

    def before(name: str, dim: int) -> None:
        getattr(model, name).register_forward_pre_hook(lambda _, given: join(given[0], team.model, dim))

    if team.mode == "towers":
        before("conv3", -1)
        before("fc6", -1)
        for layer in model.children():
            if isinstance(layer, LocalResponseNorm):
                layer.towers = 1
    if team.mode == "hybrid":
        before("fc6", 0)
    if team.mode != "data":
        before("fc7", -1)
        fc8: nn.Module = model.get_submodule("fc8")
        fc8.register_forward_hook(lambda _, given, scores: add_up(scores.float(), team.model))


def _place_dropout(model: Network, team: Team) -> None:
    """Lets each process draw dropout for the whole batch and layer, of which it takes its part."""
    cut = False  # units are cut where the last layer with weights was
    for name in model.order:
        if name in LAYERS:
            cut = name in CUT[team.mode]
        elif name.startswith("drop"):
            rows, columns = (team.data, team.model) if cut else (team.images, Group())
            layer = getattr(model, name)
            layer.rows, layer.columns = (rows.index, rows.count), (columns.index, columns.count)


class _Join(torch.autograd.Function):
    """Everyone's rows (dim 0), or features (dim -1), side by side; channels-last images stay so."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, group: Group, dim: int) -> Tensor:
        ctx.group, ctx.dim = group, dim
        return group.gather(mine.movedim(1, -1), dim).movedim(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.group.add_up(gradient.movedim(1, -1), ctx.dim).movedim(-1, 1), None, None


class _Sum(torch.autograd.Function):
    """The sum of everyone's scores, from which everyone computes the same loss: its gradient needs no exchange."""

    @staticmethod
    def forward(ctx: Any, mine: Tensor, group: Group) -> Tensor:
        return group.sum(mine.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return gradient, None
