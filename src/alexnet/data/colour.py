"""Colour profiles: pictures whose profile is far from sRGB are converted, all others keep their numbers."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

LARGEST_PROFILE = 4 << 20  # bytes; those of printing presses have up to about 3 MB
NEAR = 8  # levels of 255: profiles that change no colour of a coarse grid by more are taken for sRGB

_STEPS = 6  # levels a channel of that grid
_SPACES = {"RGB ": "RGB", "CMYK": "CMYK"}

Transform = ImageCms.ImageCmsTransform


def transform(profile: object, mode: str) -> Transform | None:
    """Returns what turns pixels of a mode, "RGB" or "CMYK", into sRGB, or None where their numbers stay.

    They stay without a profile, with one near sRGB, and with one that is damaged or for another kind of pixels.
    """
    if not isinstance(profile, bytes) or not 128 < len(profile) <= LARGEST_PROFILE:
        return None
    return _transform(profile, mode)


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> Transform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _SPACES.get(source.profile.xcolor_space) != mode:
            return None
        by = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if mode == "RGB" and _is_near(by) else by
    except Exception:
        return None


def _is_near(by: Transform) -> bool:
    levels = np.linspace(0, 255, _STEPS).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    changed = np.asarray(by.apply(Image.fromarray(grid)))
    return int(np.abs(changed.astype(int) - grid).max()) <= NEAR
