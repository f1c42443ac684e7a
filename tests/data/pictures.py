"""Pictures and class-per-folder trees, made by code."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def photograph(height=60, width=80, seed=0):
    """Gives smooth pixels uint8 (height, width, 3), different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels=None, kind="JPEG", mode=None, **options):
    image = Image.fromarray(photograph() if pixels is None else pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def tree(root: Path, counts: dict[str, int], height=60, width=80) -> Path:
    """Makes `counts[folder]` pictures in each folder below `root`."""
    for number, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / folder / f"{i:04d}.jpg").write_bytes(encoded(photograph(height, width, 1000 * number + i)))
    return root
