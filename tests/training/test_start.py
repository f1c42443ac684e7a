"""The network that a training starts from."""

from dataclasses import replace

import torch

from alexnet.recipes import MODERN
from alexnet.training.plan import make_model
from alexnet.training.start import fit_to_pictures

SETTINGS = replace(MODERN, variant="toy", input_size=67, batch_size=4, dropout=0.0)


def test_a_measured_start_is_fitted_to_the_first_training_pictures(store):
    settings = replace(SETTINGS, initialisation="measured")
    model, twin = (make_model(settings, len(store.classes)) for _ in range(2))
    fit_to_pictures(settings, store, model)
    fit_to_pictures(settings, store, twin)
    assert torch.equal(model.conv1.weight, twin.conv1.weight)
    assert not torch.equal(model.conv1.weight, make_model(settings, len(store.classes)).conv1.weight)


def test_any_other_start_is_left_as_it_is(store):
    settings = replace(SETTINGS, initialisation="he")
    model = make_model(settings, len(store.classes))
    fit_to_pictures(settings, store, model)
    assert torch.equal(model.conv1.weight, make_model(settings, len(store.classes)).conv1.weight)
