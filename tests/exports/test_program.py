"""Programs of torch.export: plain operations, any batch."""

import io

import numpy as np
import pytest
import torch

from alexnet.exports import program
from alexnet.exports.format import PreprocessingSteps

LIMIT = 1e-4


@pytest.mark.parametrize("name", ["alexnet-two-tower", "alexnet-as-run", "one-weird-trick"])
def test_a_program_gives_what_the_network_gives_for_any_batch(network, images, error, name):
    model = network(name)
    _, run = program.engine(program.build(model, None, {}))
    for count in (1, 7):
        assert error(run(images(count).numpy()), model(images(count)).softmax(1)) < LIMIT


def test_stored_pictures_go_in(network, error):
    dice = np.random.default_rng(0)
    wanted = PreprocessingSteps("centre", 76, 67, dice.uniform(0, 255, (76, 76, 3)).astype(np.float32), 64.0)
    model, stored = network("alexnet"), dice.integers(0, 256, (3, 76, 76, 3), np.uint8)
    _, run = program.engine(program.build(model, wanted, {}))
    assert error(run(stored), model(torch.from_numpy(wanted(stored))).softmax(1)) < LIMIT


def test_it_holds_plain_operations_and_the_notes(network):
    notes = {"classes": ""}
    content = program.build(network("alexnet"), None, {"classes": '["hen"]'})
    loaded = torch.export.load(io.BytesIO(content), extra_files=notes)
    assert notes == {"classes": '["hen"]'}
    called = {str(node.target) for node in loaded.graph.nodes if node.op == "call_function"}
    assert {name for name in called if not name.startswith("aten.")} <= {"<built-in function getitem>"}
