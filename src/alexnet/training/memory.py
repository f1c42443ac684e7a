"""Whether a batch fits into memory, checked before the work starts."""

import math

import torch

from alexnet import machine
from alexnet.data.pictures import MEMORY_BUDGET
from alexnet.errors import UsageError
from alexnet.models.network import Network
from alexnet.models.summary import summarise

KEPT = 1.5
"""Bytes that a step keeps for an image, over the bytes of all its layers' outputs; measured 1.2 to 1.3 on the CPU."""


def check(model: Network, batch_size: int, dtype: torch.dtype, processes: int = 1) -> None:
    """Refuses a batch that does not fit into the memory that is free.

    Args:
        model: The network.
        batch_size: Images a step.
        dtype: Type of the activations.
        processes: Number of processes that divide the batch evenly.

    Raises:
        UsageError: The batch does not fit; the message names the largest that does.
    """
    free = machine.free_memory()
    if free is None:
        return
    largest = processes * max(0, int((free - fixed_bytes(model)) / bytes_per_image(model, dtype)))
    if batch_size > largest:
        raise UsageError(
            f"a batch of {batch_size} images does not fit into the {free / 1e9:.1f} GB of memory that are free; "
            + (f"the largest that does is {largest}: take `batch_size={largest}`" if largest else "no batch does")
        )


def left_for_pictures(model: Network, batch_size: int, dtype: torch.dtype) -> int:
    """Returns the bytes that decoded pictures may keep beside the steps, at most `MEMORY_BUDGET`.

    Args:
        model: The network, whole.
        batch_size: Images a step of this process.
        dtype: Type of the activations.
    """
    free = machine.free_host_memory()
    if free is None:
        return MEMORY_BUDGET
    is_here = machine.device().type == "cpu"
    step = fixed_bytes(model) + batch_size * bytes_per_image(model, dtype) if is_here else 0
    return max(0, min(MEMORY_BUDGET, int(free - step)))


def fixed_bytes(model: Network) -> int:
    """Returns the bytes that training takes besides images: weights, gradients, momentum, and weights in bf16."""
    return 16 * sum(p.numel() for p in model.parameters())


def bytes_per_image(model: Network, dtype: torch.dtype) -> float:
    """Returns the bytes that each image of a batch takes in a step."""
    outputs = sum(math.prod(row.output_shape) for row in summarise(model)) + 3 * model.input_size**2
    return KEPT * outputs * dtype.itemsize
