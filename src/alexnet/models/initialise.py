"""How the weights start."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from alexnet.errors import UsageError
from alexnet.seeds import fold

FIRST_SPREAD = 0.3
"""Standard deviation of the first scores that `settle` leaves, with which the first loss is that of guessing."""


@dataclass(frozen=True)
class Gaussian:
    """Normal weights and constant biases: a standard deviation and a bias for each layer with weights."""

    std: tuple[float, ...]
    bias: tuple[float, ...]


SCHEMES = {
    # Paper section 5.
    "paper": Gaussian((0.01,) * 8, (0, 1, 0, 1, 1, 1, 1, 0)),
    # layer-params-145.cfg of the 2012 source.
    "source": Gaussian((0.01, 0.01, 0.03, 0.03, 0.03, 0.01, 0.01, 0.01), (0, 1, 0, 1, 1, 1, 1, 0)),
    # bvlc_alexnet and bvlc_reference_caffenet, train_val.prototxt.
    "caffe": Gaussian((0.01,) * 5 + (0.005, 0.005, 0.01), (0, 0.1, 0, 0.1, 0.1, 0.1, 0.1, 0)),
    "caffenet": Gaussian((0.01,) * 5 + (0.005, 0.005, 0.01), (0, 1, 0, 1, 1, 1, 1, 0)),
    # Files of cuda-convnet for CIFAR-10.
    "cifar-80sec": Gaussian((0.0001, 0.01, 0.01, 0.1, 0.1), (0,) * 5),
    "cifar-18pct": Gaussian((0.0001, 0.01, 0.01, 0.01), (0,) * 4),
    "cifar-13pct": Gaussian((0.0001, 0.01, 0.04, 0.04, 0.01), (0,) * 5),
    # Keeps the size of the signal from layer to layer: starts reliably.
    "he": "he",
    # He's, whose strength and biases `settle` then fits to the pictures.
    "measured": "measured",
    # PyTorch's own default, which torchvision's network uses.
    "torch": "torch",
    # For weights that come from elsewhere.
    "none": None,
}


def initialise(model: nn.Module, scheme: str, order: list[str], seed: int = 0) -> None:
    """Fills the weights and biases of `model`, in place, by a scheme of `SCHEMES`.

    `order` names all layers in the order they are called. The same seed gives the same weights, whatever was drawn
    before.

    Raises:
        UsageError: There is no such scheme, or it is for another number of layers.
    """
    if scheme not in SCHEMES:
        raise UsageError(f"no initialisation {scheme!r}; there are {', '.join(SCHEMES)}")
    rule = SCHEMES[scheme]
    if rule is None:
        return
    gains = _gains(model, order)
    numbers = {name: int(name[-1]) for name in gains}
    count = max(numbers.values())
    if isinstance(rule, Gaussian) and len(rule.std) != count:
        raise UsageError(f"initialisation {scheme} is for {len(rule.std)} layers with weights, this has {count}")
    for name, number in numbers.items():
        layer, index = getattr(model, name), number - 1  # by its number: a layer left out changes no other
        generator = torch.Generator().manual_seed(fold(seed, "weights", index))
        weight, bias, fan_in = layer.weight, layer.bias, layer.weight[0].numel()
        with torch.no_grad():
            if isinstance(rule, Gaussian):
                weight.normal_(0, rule.std[index], generator=generator)
                bias.fill_(rule.bias[index])
            elif rule in ("he", "measured"):
                weight.normal_(0, gains[name] * (2 / fan_in) ** 0.5, generator=generator)
                bias.zero_()
            else:
                for tensor in (weight, bias):
                    tensor.uniform_(-(fan_in**-0.5), fan_in**-0.5, generator=generator)


def settle(model: nn.Module, order: list[str], images: Tensor, kept: Collection[str] = ()) -> None:
    """Rescales and centres the fresh layers of a network, one after another, by what they give on pictures.

    Afterwards the outputs of each fresh layer have a standard deviation of 1 (the last layer: `FIRST_SPREAD`)
    and each channel or unit has a mean of 0. The kernels of conv1 are blurred first.

    Without this, the outputs behind seven ReLUs and three poolings are nearly the same for any two pictures (with He's
    weights their cosine behind fc7 is 0.94), and a network of 200 classes guesses for thousands of steps.

    Args:
        model: A network with fresh weights, changed in place.
        order: Names of all its layers in the order they are called.
        images: (N, 3, S, S), preprocessed; a few hundred.
        kept: Trained layers, which stay as they are.

    Source: Mishkin and Matas 2016 (layer-sequential unit variance). The means are taken away as batch normalisation
    does it; the blur is ours.
    """
    is_training, last = model.training, order[-1]
    model.eval()
    with torch.no_grad():
        for name in order:
            layer = getattr(model, name)
            images = images.flatten(1) if name.startswith(("fc", "drop")) else images
            if name == "conv1" and name not in kept:
                layer.weight.copy_(_blurred(layer.weight))
            images = layer(images)
            if hasattr(layer, "weight") and name not in kept:
                mean = images.mean([d for d in range(images.dim()) if d != 1], keepdim=True)
                images = images - mean
                scale = (FIRST_SPREAD if name == last else 1.0) / max(float(images.square().mean().sqrt()), 1e-6)
                images = images * scale
                layer.weight.mul_(scale)
                layer.bias.copy_((layer.bias - mean.flatten()) * scale)
    model.train(is_training)


def quieten(model: nn.Module, order: list[str], outputs: Mapping[str, Tensor]) -> None:
    """Rescales trained layers, so that behind its ReLU each has a root mean square of about 1; the answers stay.

    A layer is rescaled only if nothing but ReLU, pooling and dropout comes between it and the next, which undoes the
    factor. Factors are powers of two, so that the answers stay to the bit.

    Training moves the outputs of a layer in proportion to the squares of its inputs: where they add up to 150,000, as
    behind conv5 of the network in the package, a rate that suits the other layers is far too high.

    Args:
        model: A trained network with ReLUs, changed in place.
        order: Names of all its layers in the order they are called.
        outputs: Layer -> its outputs on pictures, of the layers to rescale.
    """
    learning = [place for place, name in enumerate(order) if hasattr(getattr(model, name), "weight")]
    with torch.no_grad():
        for here, there in pairwise(learning):
            layer, following = getattr(model, order[here]), getattr(model, order[there])
            is_plain = all(name.startswith(("relu", "pool", "drop")) for name in order[here + 1 : there])
            if order[here] in outputs and is_plain:
                square = float(outputs[order[here]].clamp(min=0).square().mean())
                factor = 2.0 ** -round(math.log2(square) / 2) if square else 1.0
                layer.weight.mul_(factor)
                layer.bias.mul_(factor)
                following.weight.div_(factor)


def _blurred(kernels: Tensor) -> Tensor:
    """Blurs kernels by an eighth of their side, since pictures hold little that is finer and training leaves it."""
    side = kernels.shape[-1]
    places = torch.arange(side, dtype=kernels.dtype, device=kernels.device)
    blur = torch.exp(-0.5 * ((places[:, None] - places) / (side / 8)) ** 2)
    return blur @ kernels @ blur


def _gains(model: nn.Module, order: list[str]) -> dict[str, float]:
    """Returns, for each layer with weights, the factor that undoes the layers before it.

    Normalisation divides by k^beta at least, and dropout without rescaling silences a part of the squares.

    Source: He et al. 2015 (sqrt(2 / inputs) for a layer behind a ReLU); these two factors are ours.
    """
    gains, gain = {}, 1.0
    for name in order:
        layer = getattr(model, name)
        if name.startswith("norm"):
            gain *= layer.k**layer.beta
        elif name.startswith("drop") and not layer.rescale:
            gain /= (1 - layer.rate) ** 0.5
        elif hasattr(layer, "weight"):
            gains[name], gain = gain, 1.0
    return gains
