"""How like two pictures are: PSNR and SSIM, whole and of the foreground alone. Pure numerics."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SIGMA, WINDOW = 1.5, 11
"""Of SSIM's Gaussian window in pixels, and its side (Wang et al. 2004, "Image Quality Assessment: From Error Visibility
to Structural Similarity", section III-C)."""
K1, K2 = 0.01, 0.03
"""SSIM's constants (same section), for values in 0…1."""


def psnr(picture: F64, truth: F64, mask: NDArray[np.bool_] | None = None) -> float:
    """Peak signal-to-noise ratio in dB of pictures (H,W,3) in 0…1: −10 log10 of their mean square difference.

    Over the pixels of ``mask (H,W)`` alone where one is given. Infinite where they are the same, NaN where the mask is
    empty.
    """
    squares = (picture - truth) ** 2
    some = squares if mask is None else squares[mask]
    if not some.size:
        return float("nan")
    mean = float(some.mean())
    return float("inf") if mean == 0 else -10 * float(np.log10(mean))


def ssim(picture: F64, truth: F64, mask: NDArray[np.bool_] | None = None) -> float:
    """Structural similarity (Wang et al. 2004, eq. 13) of pictures (H,W,3) in 0…1, of at least 11 pixels a side.

    The mean over channels and over the pixels whose window lies within the picture; of those the ones in ``mask (H,W)``
    alone where one is given, NaN where there are none.
    """
    found = ssim_map(picture, truth)
    edge = WINDOW // 2
    inner = np.zeros(found.shape, bool)
    inner[edge:-edge, edge:-edge] = True
    some = found[inner if mask is None else inner & mask]
    return float(some.mean()) if some.size else float("nan")


def ssim_map(picture: F64, truth: F64) -> F64:
    """(H,W) structural similarity about each pixel, the mean of the channels."""

    def mean(values: F64) -> F64:
        return np.asarray(cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT), np.float64)

    a, b = mean(picture), mean(truth)
    spread_a, spread_b = mean(picture * picture) - a * a, mean(truth * truth) - b * b
    both = mean(picture * truth) - a * b
    c1, c2 = K1**2, K2**2
    likeness = (2 * a * b + c1) * (2 * both + c2) / ((a * a + b * b + c1) * (spread_a + spread_b + c2))
    return np.asarray(likeness.mean(axis=-1), np.float64)
