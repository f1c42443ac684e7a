"""What the settings of an arm come to on this machine, before the work starts."""

import time
from dataclasses import replace

import torch

from alexnet import machine
from alexnet.config import Train
from alexnet.training.plan import make_model
from alexnet.training.step import Step


def layers(settings: Train) -> str:
    """Returns the layers of the network that the settings describe, as text that is equal for equal networks."""
    with torch.device("meta"):
        return str(make_model(replace(settings, initialisation="none"), classes=2))


def seconds_per_step(settings: Train, classes: int) -> float:
    """Measures an update on noise: the second one, because the first is slower."""
    device = machine.device()
    model = make_model(settings, classes).to(device)
    step = Step(model, settings, machine.dtype(settings.precision))
    shape = (settings.batch_size, 3, model.input_size, model.input_size)
    images = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(settings.batch_size, dtype=torch.int64, device=device)
    for number in range(2):
        start = time.monotonic()
        step(images, labels, number, settings.learning_rate)
    return time.monotonic() - start
