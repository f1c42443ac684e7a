"""Networks by name: what Python's users type wrongly is said in one line."""

import pytest

import alexnet
from alexnet.errors import UsageError
from alexnet.models.variants import stored_size


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
