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
ERROR_PERCENT_WITH_SKIN = (1.4, 2.8)
"""The same of a take whose skin was followed from frame to frame: its head follows the skin and leaves the aligner's
points further off. The 50th, 79th and 90th percentile of 873 frames of 12 development clips are 1.45, 1.40 and 1.33
times as large with it (backend/evaluation/RESULTS.md, “Skin in time”)."""
UNCERTAINTY_MM = (3.4, 4.0)
"""Uncertainty of the face's surface in millimetres, likewise; one camera leaves 3.0 to 3.4 where the face is clearly in
sight, 3.4 to 3.7 where it is 30 to 60 pixels tall, and several cameras less than one."""


def error_bounds(*, with_skin: bool) -> tuple[float, float]:
    """The bounds of a take's reprojection errors, by whether its skin was followed."""
    return ERROR_PERCENT_WITH_SKIN if with_skin else ERROR_PERCENT


def of_error(percent: float, *, with_skin: bool) -> str:
    """A word for a reprojection error, in percent of the inter-ocular distance."""
    return _word(percent, error_bounds(with_skin=with_skin))


def of_uncertainty(millimetres: float) -> str:
    """A word for an uncertainty of the face's surface."""
    return _word(millimetres, UNCERTAINTY_MM)


def _word(value: float, bounds: tuple[float, float]) -> str:
    good, fair = bounds
    return "good" if value <= good else ("fair" if value <= fair else "poor")


def levels(values: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.int64]:
    """(n,) 0 good, 1 fair, 2 poor by some bounds, ``UNKNOWN`` of what is no number, of values (n,)."""
    return np.where(np.isfinite(values), np.searchsorted(bounds, values), UNKNOWN).astype(np.int64)
