"""What units see, compared with the paper's network and with where the network itself reads."""

import pytest
import torch

from alexnet.models.create import create
from alexnet.models.fields import Field, field_of


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ("conv1", (11, 4, 0)),
        ("pool1", (19, 8, 0)),
        ("conv2", (51, 8, -16)),
        ("conv3", (99, 16, -32)),
        ("conv4", (131, 16, -48)),
        ("relu5", (163, 16, -64)),
        ("pool5", (195, 32, -64)),
        ("fc6", (227, 227, 0)),
        ("fc8", (227, 227, 0)),
    ],
)
def test_the_papers_network_sees_what_arithmetic_says(layer, field):
    with torch.device("meta"):
        model = create("alexnet", initialisation="none")
    assert field_of(model, layer) == field


def test_what_lies_outside_of_the_input_is_not_in_a_box():
    field = Field(163, 16, -64)
    assert field.box(0, 6, 227, 14).to_json(None) == '{"left": 46, "top": 14, "right": 209, "bottom": 113}'
    assert field.box(12, 12, 227, 14).right == 241


@pytest.mark.parametrize(
    ("variant", "size", "layer"),
    [
        ("toy", 67, "conv2"),
        ("toy", 99, "conv5"),
        ("caffe-alexnet", 99, "conv3"),
        ("cifar-18pct", 32, "same1"),
        ("cifar-18pct", 32, "conv2"),
        ("cifar-13pct", 32, "local3"),
    ],
)
def test_a_pixel_reaches_a_unit_if_it_is_in_its_box(variant, size, layer):
    """A pixel that is no number makes those outputs no numbers that it reaches, whatever the weights are."""
    model = create(variant, input_size=size).eval()
    field, middle = field_of(model, layer), None

    def is_reached(y, x):
        image = torch.ones(1, 3, size, size)
        image[..., y, x] = torch.nan
        with torch.inference_mode():
            return model.activations(image, layer)[layer][0, 0, middle, middle].isnan().item()

    with torch.inference_mode():
        middle = model.activations(torch.ones(1, 3, size, size), layer)[layer].shape[-1] // 2
    box = field.box(middle, middle, size, 0)
    assert is_reached(box.top, box.left)
    assert is_reached(box.bottom - 1, box.right - 1)
    assert not (box.left and is_reached(box.top, box.left - 1))
    assert not (box.bottom < size and is_reached(box.bottom, box.left))
