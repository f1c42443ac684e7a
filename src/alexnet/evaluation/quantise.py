"""Smaller numbers for prediction: what a picture costs is reading 61 million weights.

`bf16` keeps every weight in two bytes. `int8` keeps the fully connected layers, 96 % of the weights, in one byte with
a scale for each row, and the rest in bf16 (float32 where the processor has no bf16).
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from alexnet import machine, native
from alexnet.errors import UsageError
from alexnet.models.network import Network

NUMBERS = ("auto", "float32", "bf16", "int8")


class Linear8(nn.Module):
    """A fully connected layer with 8-bit weights and a scale for each output.

    Weights are rounded to the nearest of 255 levels, symmetric around zero.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=1e-12) / 127
        self.register_buffer("weight", (weight / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale)
        self.register_buffer("bias", layer.bias.detach().float())

    def forward(self, units: Tensor) -> Tensor:
        """Returns (N, outputs) from (N, inputs), in the type of `units`."""
        if len(units) == 1 and units.device.type == "cpu" and native.library() is not None:
            return native.dot8(self.weight, self.scale, self.bias, units.float().contiguous()).to(units.dtype)
        products = F.linear(units, self.weight.to(units.dtype)).float()
        return (products * self.scale + self.bias).to(units.dtype)


class Linear16(nn.Linear):
    """A fully connected layer in bf16, whose product with a single picture reads the weights at the speed of memory.

    oneDNN, which multiplies several pictures, takes 1.4 to 1.5 times as long for one.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__(layer.in_features, layer.out_features, device="meta")
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, units: Tensor) -> Tensor:
        """Returns (N, outputs) from (N, inputs), in bf16."""
        if len(units) == 1 and units.device.type == "cpu" and not torch.compiler.is_compiling():
            return torch.addmv(self.bias, self.weight, units[0])[None]
        return super().forward(units)


def prepare(model: Network, numbers: str) -> tuple[Network, torch.dtype]:
    """Returns a network for prediction in other numbers, in evaluation mode, and the type its input takes.

    It is a copy, except in float32. `auto` is bf16 where the processor has it.

    Raises:
        UsageError: `numbers` is none of `NUMBERS`, or is bf16, which the processor lacks.
    """
    if numbers not in NUMBERS:
        raise UsageError(f"no numbers {numbers!r}; there are {', '.join(NUMBERS)}")
    dtype = machine.dtype("auto" if numbers == "int8" else numbers)
    if dtype == torch.float32 and numbers != "int8":
        return model.eval(), dtype
    replaced = [layer for layer in model.children() if numbers == "int8" and isinstance(layer, nn.Linear)]
    # Linear8 replaces these; the others are converted while they are copied, so that nothing is copied twice.
    converted = {id(p): p for layer in replaced for p in layer.parameters()}
    for p in model.parameters():
        if id(p) not in converted:
            converted[id(p)] = nn.Parameter(p.detach().to(dtype, copy=True), p.requires_grad)
    smaller = copy.deepcopy(model, dict[int, object](converted)).eval()
    for name, layer in list(smaller.named_children()):
        if isinstance(layer, nn.Linear):
            setattr(smaller, name, Linear8(layer) if numbers == "int8" else Linear16(layer))
    for layer in smaller.children():
        if not isinstance(layer, Linear8):
            layer.to(dtype)
    return smaller, dtype


def weight_bytes(model: Network) -> int:
    """Returns the bytes of all weights and biases, which one prediction has to read."""
    tensors = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
