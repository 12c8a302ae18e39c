"""Upper-face dynamics deviation of speech-driven animation. The lip vertex error beside it is in ``lips``."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def upper_face_dynamics_deviation(truth: NDArray[np.floating[Any]], predicted: NDArray[np.floating[Any]]) -> float:
    """How much livelier the upper face is than its prediction, in m²; below 0 where the prediction moves more.

        FDD = 1/N · Σ_i (dyn(m_i) − dyn(m̂_i)),  dyn(m) = standard deviation over the frames of ‖m_t‖²

    ``truth`` and ``predicted (T,N,3)`` are a sequence's offsets from the person's neutral at N vertices of the upper
    face, in metres. CodeTalker (Xing et al. 2023, section 4.2) speaks of the norm; the code that it is measured by
    takes the squared norm, and so does this. Of several sequences it takes the plain mean. Raises ValueError where
    the shapes differ or there is nothing in them.
    """
    if truth.shape != predicted.shape or not truth.size:
        raise ValueError(f"motions of shape {truth.shape} and {predicted.shape} cannot be compared")
    dynamics = [
        np.square(np.asarray(motion, np.float64)).sum(axis=-1).std(axis=0).mean() for motion in (truth, predicted)
    ]
    return float(dynamics[0] - dynamics[1])
