"""The claim that trained weights are a good start: its arms, and what is compared with what."""

import json
from pathlib import Path

import pytest
import torch

from alexnet.errors import UsageError
from alexnet.evaluation.classifier import load

LAYERS = ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]


@pytest.fixture
def answer(ask):
    return ask("transfer", seeds=1)


def weights(answer, arm):
    (row,) = (row for row in answer["rows"] if row["name"] == arm)
    return load(row["run"], numbers="float32").model.state_dict()


def test_every_arm_is_compared_with_the_tuned_network(answer):
    assert [row["name"] for row in answer["rows"]] == [
        "fine-tuned",
        "from-scratch",
        "frozen",
        *map("freeze-{}".format, LAYERS),
    ]
    others = ["from-scratch", "frozen", *map("freeze-{}".format, LAYERS)]
    assert list(answer["differences"]) == [f"fine-tuned against {arm}: top1" for arm in others]
    errors = {row["name"]: row["top1_error"] for row in answer["rows"]}
    for arm in others:
        difference = answer["differences"][f"fine-tuned against {arm}: top1"]
        assert difference["mean"] == pytest.approx(errors[arm] - errors["fine-tuned"])


def test_what_is_frozen_is_as_in_the_trained_network_and_nothing_else(answer, run):
    trained = load(run, numbers="float32").model.state_dict()

    def kept(arm):
        own = weights(answer, arm)
        return [layer for layer in LAYERS if torch.equal(own[f"{layer}.weight"], trained[f"{layer}.weight"])]

    assert kept("frozen") == LAYERS
    assert kept("fine-tuned") == kept("from-scratch") == []
    for end, layer in enumerate(LAYERS, 1):
        assert kept(f"freeze-{layer}") == LAYERS[:end]


def test_the_arms_have_the_preprocessing_of_the_trained_network_and_choose_nothing(answer):
    for row in answer["rows"]:
        description = json.loads(Path(row["run"], "config.json").read_text())
        assert description["preprocessing"]["divide_pixels_by"] == 64
        assert (description["train"]["input_size"], description["train"]["stored_size"]) == (67, 76)
        lines = Path(row["run"], "metrics.jsonl").read_text().splitlines()
        measured = [json.loads(line)["step"] for line in lines if "val_loss" in line]
        assert measured == ([0] if row["name"] == "frozen" else [3])


def test_what_is_trained_already_is_found_again(ask, answer):
    assert [row["run"] for row in ask("transfer", seeds=1)["rows"]] == [row["run"] for row in answer["rows"]]


def test_a_change_that_makes_another_question_is_refused(ask):
    with pytest.raises(UsageError, match="the setting freeze does not fit this claim"):
        ask("transfer", seeds=1, changes=("freeze=conv1",))
