"""The layer table: output shapes, parameters, multiply-adds."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alexnet.models.network import Network
from alexnet.records import Record


@dataclass(frozen=True)
class LayerRow:
    """One layer, for one image."""

    name: str
    output_shape: tuple[int, ...]  # (C, H, W), or (units,)
    parameters: int  # number of weights and biases
    macs: int  # multiply-adds of the convolution or matrix product; biases and other layers count as none


class Summary(Record, frozen=True, kw_only=True):
    """The layer table of a network, and its sums."""

    variant: str
    input_size: int
    parameters: int
    macs: int
    layers: tuple[LayerRow, ...]


def summary(model: Network) -> Summary:
    """Returns the layer table of a network with its sums."""
    rows = tuple(summarise(model))
    return Summary(
        variant=model.variant,
        input_size=model.input_size,
        parameters=sum(row.parameters for row in rows),
        macs=sum(row.macs for row in rows),
        layers=rows,
    )


def summarise(model: Network) -> list[LayerRow]:
    """Returns the table of a network, in the order of its layers.

    Source: facts of the paper's figure 2; 62,378,344 parameters and 1,135,256,096 multiply-adds for `alexnet`.
    """
    image = torch.zeros(1, 3, model.input_size, model.input_size, device=next(model.parameters()).device)
    was_training = model.training
    with torch.inference_mode():
        outputs = model.eval().activations(image, *model.order)
    model.train(was_training)
    return [_row(name, getattr(model, name), tuple(output.shape[1:])) for name, output in outputs.items()]


def _row(name: str, layer: nn.Module, shape: tuple[int, ...]) -> LayerRow:
    weight = getattr(layer, "weight", None)
    positions = shape[1] * shape[2] if isinstance(layer, nn.Conv2d) else 1  # each weight is used at all of them
    macs = weight.numel() * positions if isinstance(weight, Tensor) else 0
    return LayerRow(name, shape, sum(p.numel() for p in layer.parameters()), macs)
