"""The only source of randomness: a seed folded from what it is for.

Nothing in the project keeps the state of a random generator. Whoever needs random numbers folds the
run's seed with a purpose and counters (`fold(seed, "crops", step)`) and starts a fresh generator from
the result, so that a resumed run draws what the unbroken run would have drawn.
"""

import hashlib

import numpy as np


def fold(seed: int, purpose: str, *counters: int) -> int:
    """Gives a 63-bit seed for one purpose at one point of the run.

    Args:
        seed: The run's seed.
        purpose: What the numbers are for; different purposes never share a stream.
        *counters: Epoch, step, sample, ...: where in the run.

    Returns:
        An integer in [0, 2**63).
    """
    key = repr((int(seed), purpose, *map(int, counters))).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Gives a fresh numpy generator started from `fold`."""
    return np.random.Generator(np.random.Philox(fold(seed, purpose, *counters)))
