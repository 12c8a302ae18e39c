"""Whether an error and an uncertainty are good, fair or poor. Knows nothing of bpy.

Bounds are from what the tracker comes to on real footage, 860 frames of 13 development clips with a face in them
(backend/evaluation/RESULTS.md, “What a frame's figures mean”): good is what four of five frames are, poor is what
next to none is, unless the face is too small, hidden, or not the one that was followed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNKNOWN = 3
"""The level (see ``levels``) of what has no figure."""
ERROR_PERCENT = (1.0, 2.0)
"""Reprojection error, in percent of the inter-ocular distance: good up to the first, fair up to the second; 79 % and
99.5 % of the frames are below. Faces of 30 pixels come to the second."""
UNCERTAINTY_MM = (3.4, 4.0)
"""Uncertainty of the face's surface in millimetres, likewise; one camera leaves 3.0 to 3.4 where the face is clearly in
sight, 3.4 to 3.7 where it is 30 to 60 pixels tall, and several cameras less than one."""


def of_error(percent: float) -> str:
    """A word for a reprojection error, in percent of the inter-ocular distance."""
    return _word(percent, ERROR_PERCENT)


def of_uncertainty(millimetres: float) -> str:
    """A word for an uncertainty of the face's surface."""
    return _word(millimetres, UNCERTAINTY_MM)


def _word(value: float, bounds: tuple[float, float]) -> str:
    good, fair = bounds
    return "good" if value <= good else ("fair" if value <= fair else "poor")


def levels(values: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.int64]:
    """(n,) 0 good, 1 fair, 2 poor by some bounds, ``UNKNOWN`` of what is no number, of values (n,)."""
    return np.where(np.isfinite(values), np.searchsorted(bounds, values), UNKNOWN).astype(np.int64)
