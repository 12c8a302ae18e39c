"""What two laid-out pictures say of the places of the same skin: keypoints followed from one to the other."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model.atlas_texels import sample

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

# Measured on six quick sequences of dev, SSME of the face in px of talking and turning heads.
WINDOW = 21
"""Texels. With an atlas of 256 0.945 and 2.41; 15: 0.940, 2.40."""
LEVELS = 1
"""Of the pyramid, above the picture itself. 2: the same at a higher price."""
BACK_LEVELS = 0
"""The same of the way back, which begins where it should end."""
RETURN = 1.0
"""Texels by which a keypoint followed there and back may miss its start. 0.5: 0.941 and 2.23 instead of 0.936, 2.23."""
UNLIKE = 30.0
"""Grey levels by which two windows differ in the mean where they show different things. 20 and 45
are as good on faces that nothing hides."""
CORRELATED = 1.0
"""Times by which the noise of neighbouring texels, which is no noise of single ones, misplaces a window more."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """What was found of P keypoints: ``flow (P,2)`` texels and its ``sigma (P,)``, NaN where they were not found;
    ``unlike (P,)`` the mean difference of the windows in grey levels."""

    flow: F64
    sigma: F64
    unlike: F64


def structure(grey: NDArray[np.uint8], places: F64) -> F64:
    """(P,) the lesser eigenvalue of Σ ∇g ∇gᵀ over the windows about texels ``places (P,2)``, grey levels²."""
    fine = grey.astype(np.float32)
    across, down = (cv2.Scharr(fine, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (1, 0))
    parts = [across * across, across * down, down * down]
    window = (WINDOW, WINDOW)
    xx, xy, yy = (sample(cv2.boxFilter(part, -1, window, normalize=False), places) for part in parts)
    return np.asarray((xx + yy) / 2 - np.hypot((xx - yy) / 2, xy))


def compare(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    places: F64,
    wanted: NDArray[np.bool_],
    texture: F64,
    *,
    guess: F64 | None = None,
    back: bool = True,
) -> Comparison:
    """Follow the keypoints ``wanted (P,)`` at texels ``places (P,2)`` of the first picture to the second one.

    ``texture (P,)`` as of ``structure``; ``guess (P,2)`` texels is where to begin; ``back``: and back again.
    """
    flow, sigma, unlike = np.full(places.shape, np.nan), np.full(len(places), np.nan), np.full(len(places), np.nan)
    index = np.flatnonzero(wanted)
    if not len(index):
        return Comparison(flow, sigma, unlike)
    start = (places[index] - 0.5).astype(np.float32)[:, None]
    begin = start if guess is None else start + guess[index].astype(np.float32)[:, None]
    there, found, difference = _follow(first, second, start, begin, LEVELS)
    if back:
        again, returned, _ = _follow(second, first, there, start, BACK_LEVELS)
        found &= returned & (np.linalg.norm(again - start, axis=2)[:, 0] < RETURN)
    found &= difference < UNLIKE
    good = index[found]
    flow[good] = (there - start)[found, 0]
    unlike[index] = difference
    noise = 1.25 * difference[found]  # a mean of absolute values as a deviation
    sigma[good] = CORRELATED * noise / np.sqrt(np.maximum(texture[good], 1e-6))
    return Comparison(flow, sigma, unlike)


def _follow(
    first: NDArray[np.uint8], second: NDArray[np.uint8], start: F32, guess: F32, levels: int
) -> tuple[F32, NDArray[np.bool_], F64]:
    found, status, difference = cv2.calcOpticalFlowPyrLK(
        first,
        second,
        start,
        np.array(guess),
        winSize=(WINDOW, WINDOW),
        maxLevel=levels,
        criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02),
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
        minEigThreshold=1e-3,
    )
    return found, status[:, 0] > 0, difference[:, 0].astype(np.float64)
