"""Closed eyes, told from points of mediapipe478 wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from backend.head_model.dense_points import LID_POINTS

F64 = NDArray[np.float64]

CLOSED_EYE = 0.12
"""Lid opening over eye width below which the iris points are guesses.

On the development clips closed eyes measure 0.02 to 0.07 and open ones 0.25 to 0.5.
"""


def lid_openings(points: Mapping[int, F64] | Sequence[F64] | F64) -> F64:
    """(2,) the left and the right eye's opening over its width, of image points (2,) by their index in mediapipe478."""
    return np.array(
        [
            np.linalg.norm(points[upper] - points[lower])
            / max(float(np.linalg.norm(points[inner] - points[outer])), 1e-9)
            for upper, lower, inner, outer in LID_POINTS
        ]
    )
