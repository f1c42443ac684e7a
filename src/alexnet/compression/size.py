"""What a network would take in bytes before Huffman coding, as Deep Compression counts it."""

import math

import numpy as np
from torch import Tensor

from alexnet.models.network import Network
from alexnet.weights import sparse


def in_float32(model: Network) -> int:
    """Returns the bytes of all weights and biases in float32."""
    return 4 * sum(parameter.numel() for parameter in model.parameters())


def pruned(model: Network) -> int:
    """Returns the bytes with 32 bits for each weight that is not zero."""
    return sum(_bytes(tensor, 32) for tensor in model.state_dict().values())


def shared(model: Network) -> int:
    """Returns the bytes with a place in a codebook for each weight that is not zero, codebooks included."""
    total = 0
    for tensor in model.state_dict().values():
        values = len(tensor[tensor != 0].unique())
        total += _bytes(tensor, math.ceil(math.log2(max(2, values)))) + (4 * values if tensor.dim() > 1 else 0)
    return total


def _bytes(tensor: Tensor, bits: int) -> int:
    """Returns the bytes with `bits` for each weight that is not zero and 8 for each gap; biases take 32."""
    if tensor.dim() == 1:
        return 4 * tensor.numel()
    places = np.flatnonzero(tensor.cpu().numpy())
    return len(sparse.gap_symbols(places)) + math.ceil(bits * len(places) / 8)
