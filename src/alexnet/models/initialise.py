"""How the weights start."""

from dataclasses import dataclass

import torch
from torch import nn

from alexnet.errors import UsageError
from alexnet.seeds import fold

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")


@dataclass(frozen=True)
class Gaussian:
    """Normal weights of fixed standard deviation and constant biases, a number for each of conv1 .. fc8.

    `std` None takes sqrt(2 / inputs) for every layer (He et al. 2015).
    """

    std: tuple[float, ...] | None
    bias: tuple[float, ...]


SCHEMES = {
    # Paper section 5.
    "paper": Gaussian((0.01,) * 8, (0, 1, 0, 1, 1, 1, 1, 0)),
    # layer-params-145.cfg of the 2012 source.
    "source": Gaussian((0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0)),
    # bvlc_alexnet and bvlc_reference_caffenet, train_val.prototxt.
    "caffe": Gaussian((0.01,) * 5 + (0.005, 0.005, 0.01), (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0)),
    "caffenet": Gaussian((0.01,) * 5 + (0.005, 0.005, 0.01), (0, 1, 0, 1, 1, 1, 1, 0)),
    # Starts reliably at any depth and width.
    "he": Gaussian(None, (0,) * 8),
    # PyTorch's own default, which torchvision's network uses.
    "torch": None,
}


def initialise(model: nn.Module, scheme: str, seed: int = 0) -> None:
    """Fills conv1 .. fc8 of `model`, in place.

    Args:
        model: Has those layers as attributes, or some of them.
        scheme: A key of `SCHEMES`, or `none` where the weights come from elsewhere.
        seed: The same seed gives the same weights, whatever was drawn before.

    Raises:
        UsageError: There is no such scheme.
    """
    if scheme == "none":
        return
    if scheme not in SCHEMES:
        raise UsageError(f"no initialisation {scheme!r}; there are {', '.join(SCHEMES)}")
    rule = SCHEMES[scheme]
    for index, name in enumerate(LAYERS):
        layer = getattr(model, name)
        generator = torch.Generator().manual_seed(fold(seed, "weights", index))
        fan_in = layer.weight[0].numel()
        with torch.no_grad():
            if rule is None:
                bound = fan_in**-0.5
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)
            else:
                std = rule.std[index] if rule.std else (2 / fan_in) ** 0.5
                layer.weight.normal_(0, std, generator=generator)
                layer.bias.fill_(rule.bias[index])
