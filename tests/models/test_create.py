"""Networks by name: what Python's users type wrongly is said in one line."""

import pytest

import alexnet
from alexnet.errors import UsageError


def test_the_shop_window_shows_what_is_for_sale():
    assert dir(alexnet) == sorted(alexnet.__all__)


@pytest.mark.parametrize(("wrong", "told"), [("classs", "perhaps 'classes'"), ("pretrained", "there are classes, ")])
def test_an_unknown_setting_is_named_with_the_nearest(wrong, told):
    with pytest.raises(UsageError, match=f"no setting '{wrong}'; {told}"):
        alexnet.create_model("alexnet", **{wrong: 1})
