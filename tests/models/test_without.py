"""Networks with a layer less."""

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.models.create import create
from alexnet.models.variants import VARIANTS


@pytest.mark.parametrize("name", list(VARIANTS))
@pytest.mark.parametrize("layer", ["conv3", "conv4"])
def test_the_network_works_without_a_middle_layer(name, layer):
    with torch.device("meta"):
        whole = create(name, input_size=67, initialisation="none")
        less = create(name, input_size=67, initialisation="none", without=layer)
    number = layer.removeprefix("conv")
    assert less.order == [own for own in whole.order if own not in (layer, f"relu{number}")]
    assert less(torch.empty(2, 3, 67, 67, device="meta")).shape == (2, 1000)


def test_what_is_left_out_is_the_layers_parameters():
    with torch.device("meta"):
        whole, less = (create(initialisation="none", without=layer) for layer in ("none", "conv4"))
    count = [sum(p.numel() for p in model.parameters()) for model in (whole, less)]
    assert count[0] - count[1] == 1_327_488


def test_another_layer_cannot_be_left_out():
    with pytest.raises(UsageError, match="without must be one of none, conv3, conv4, got 'conv5'"):
        create("toy", input_size=67, without="conv5")
    with pytest.raises(UsageError, match="cifar-18pct has no layer to spare"):
        create("cifar-18pct", without="conv3")


@pytest.mark.parametrize("scheme", ["paper", "torch"])
def test_what_is_left_out_changes_the_start_of_no_other_layer(scheme):
    whole, less = (create("toy", input_size=67, initialisation=scheme, without=w) for w in ("none", "conv4"))
    for name, weights in less.state_dict().items():
        if weights.shape == whole.state_dict()[name].shape:
            assert torch.equal(weights, whole.state_dict()[name]), name
