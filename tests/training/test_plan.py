"""What is decided before the first step: what it will take, and what is watched meanwhile."""

from types import SimpleNamespace

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.models.create import create
from alexnet.training import plan


@pytest.fixture(scope="module")
def model():
    with torch.device("meta"):
        return create("alexnet", initialisation="none")


def test_the_forecast_of_memory_counts_all_outputs_and_four_copies_of_the_weights(model):
    """AlexNet has 62,378,344 weights, and an image 1,925,224 outputs and 154,587 inputs, kept one and a half times."""
    assert plan.fixed_bytes(model) == 998_053_504
    assert plan.bytes_per_image(model, torch.float32) == 12_478_866
    assert plan.bytes_per_image(model, torch.bfloat16) == 6_239_433


@pytest.mark.parametrize(("free", "largest"), [(2_600_000_000, 128), (1_000_000_000, 0), (998_053_503, 0)])
def test_a_batch_is_refused_by_the_memory_that_it_takes(model, monkeypatch, free, largest):
    """128 images take 1,597 MB besides the 998 MB of the weights."""
    monkeypatch.setattr("alexnet.machine.free_memory", lambda: free)
    if largest:
        plan.check_memory(model, largest, torch.float32)
    told = f"the largest that does is {largest}: take `batch_size={largest}`" if largest else "no batch does"
    with pytest.raises(UsageError, match=f"does not fit into the .* GB of memory that are free; {told}"):
        plan.check_memory(model, largest + 1, torch.float32)


@pytest.mark.parametrize(
    ("splits", "watched"),
    [(("train", "val", "test"), "val"), (("test", "val", "train"), "val"), (("train", "test"), "test")],
)
def test_a_training_watches_val_and_only_without_it_test(splits, watched):
    assert plan.watched(SimpleNamespace(name="colours", splits=dict.fromkeys(splits))) == watched


@pytest.mark.parametrize(
    ("packed", "notice"),
    [
        (256, []),
        (320, []),
        (322, ["the network sees the middle 227 of 322 pixels, 50% of each picture: pack the pictures at 256"]),
        (512, ["the network sees the middle 227 of 512 pixels, 20% of each picture: pack the pictures at 256"]),
    ],
)
def test_a_network_that_would_see_less_than_half_of_each_picture_is_said(model, packed, notice):
    notices = []
    plan.warn(SimpleNamespace(size=packed), model, SimpleNamespace(notice=notices.append))
    assert notices == notice
