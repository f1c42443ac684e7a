"""Networks by name: what Python's users type wrongly is said in one line."""

import pytest
import torch

import alexnet
from alexnet.errors import UsageError
from alexnet.models import variants
from alexnet.models.variants import CIFAR, VARIANTS, stored_size


def test_the_shop_window_shows_what_is_for_sale():
    assert dir(alexnet) == sorted(alexnet.__all__)


@pytest.mark.parametrize(("wrong", "told"), [("classs", "perhaps 'classes'"), ("pretrained", "there are classes, ")])
def test_an_unknown_setting_is_named_with_the_nearest(wrong, told):
    with pytest.raises(UsageError, match=f"no setting '{wrong}'; {told}"):
        alexnet.create_model("alexnet", **{wrong: 1})


@pytest.mark.parametrize("name", ["alexnet", "cifar-18pct"])
def test_an_input_of_no_pixels_is_not_the_networks_own(name):
    with pytest.raises(UsageError, match=r"^input_size must lie between 1 and 4096, got 0$"):
        alexnet.create_model(name, input_size=0)
    assert stored_size(name, 0) == 0


@pytest.mark.parametrize("name", ["alexnet", "cifar-13pct"])
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"input_size": 1_000_000}, "^input_size must lie between 1 and 4096, got 1000000$"),
        ({"classes": 10**15}, "at most 1,000,000 classes, got 1,000,000,000,000,000$"),
    ],
)
def test_what_no_memory_holds_is_refused(name, wrong, told):
    with pytest.raises(UsageError, match=told):
        alexnet.create_model(name, **wrong)


@pytest.mark.parametrize("name", [*VARIANTS, *CIFAR])
def test_each_input_that_suits_pictures_makes_a_network(name):
    for size in variants.inputs(name):
        with torch.device("meta"):
            assert alexnet.create_model(name, classes=2, input_size=size).input_size == size


@pytest.mark.parametrize(
    ("side", "right"), [(32, (67, 76)), (50, (67, 76)), (64, (99, 112)), (96, (131, 148)), (128, (195, 220))]
)
def test_small_pictures_are_enlarged_by_half_or_more(side, right):
    size = variants.input_for_pictures("alexnet", side)
    assert (size, variants.stored_size("alexnet", size)) == right


def test_the_input_for_a_store_is_the_largest_that_has_room_for_crops():
    assert [variants.input_for_store("alexnet", side) for side in (75, 76, 112, 255, 256)] == [None, 67, 99, 195, 227]
