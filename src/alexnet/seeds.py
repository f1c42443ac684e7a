"""The only source of randomness: a seed folded from what it is for.

Nothing keeps the state of a random generator. Whoever needs random numbers folds the run's seed with a purpose and
counters, `fold(seed, "crops", step)`, and starts a fresh generator, so a resumed run draws what the unbroken run drew.
"""

import hashlib

import numpy as np


def fold(seed: int, purpose: str, *counters: int) -> int:
    """Returns a seed in [0, 2**63) for one purpose at one point (epoch, step, sample, ...) of the run."""
    key = repr((int(seed), purpose, *map(int, counters))).encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little") >> 1


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """Returns a fresh numpy generator started from `fold`."""
    return np.random.Generator(np.random.Philox(fold(seed, purpose, *counters)))
