"""From scene light and film densities to the sRGB curve that faces are looked for in. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

# Kodak's Cineon: printing density in steps of 0.002, of which a negative's gamma of 0.6 makes light; 685 is white.
_WHITE, _BLACK = 685.0, 95.0
_DENSITY_PER_CODE, _GAMMA = 0.002, 0.6


def srgb_from_linear(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Linear light, 1 as white, as 8-bit sRGB (IEC 61966-2-1); brighter is white, what is no number is black."""
    light = np.clip(np.nan_to_num(light.astype(np.float32, copy=False), nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.power(light, 1 / 2.4) - 0.055)
    return (curved * 255 + 0.5).astype(np.uint8)


def linear_from_density(density: F32) -> F32:
    """Light (1 at the 90 % white) of logarithmic film scans: ``density`` in 0…1 of the code values."""
    per_code = _DENSITY_PER_CODE / _GAMMA
    black = np.float32(10 ** ((_BLACK - _WHITE) * per_code))
    light = np.power(np.float32(10), (density * np.float32(1023) - np.float32(_WHITE)) * np.float32(per_code))
    return ((light - black) / (1 - black)).astype(np.float32)
