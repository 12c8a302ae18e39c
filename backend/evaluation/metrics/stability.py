"""Temporal stability (seeds/003, eq. 10): does every vertex move on a straight line over three frames?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StabilityResult:
    """``mean`` over the frames of ``per_frame (T-2,)``: 1 is best; NaN where one of a frame's three is lost."""

    mean: float
    per_frame: F64


def temporal_stability(
    positions: NDArray[np.floating[Any]], tracked: NDArray[np.bool_] | None = None, *, resolution: float = 1e-6
) -> StabilityResult:
    """Mean over vertices and frames of the way a vertex goes over three frames, divided by how far it gets:

        1/G · Σ_i (‖G_i^{t+1} − G_i^t‖ + ‖G_i^t − G_i^{t−1}‖ + ε) / (‖G_i^{t+1} − G_i^{t−1}‖ + ε)

    ``positions (T,G,3)`` in metres (or (T,G,2) in pixels, with a matching ``resolution``), ``tracked (T,)``. The
    paper's formula is that of ε = 0, which has no value for a vertex that rests; ε = ``resolution``, a micrometre,
    makes rest as good as straight motion (1) and keeps a vertex that jumps to and fro finite. Straight motion of any
    speed that does not turn back scores 1; no score is lower.
    """
    positions = np.asarray(positions, np.float64)
    step = np.linalg.norm(positions[1:] - positions[:-1], axis=-1)
    reached = np.linalg.norm(positions[2:] - positions[:-2], axis=-1)
    per_frame = ((step[1:] + step[:-1] + resolution) / (reached + resolution)).mean(axis=-1)
    if tracked is not None:
        per_frame = np.where(tracked[2:] & tracked[1:-1] & tracked[:-2], per_frame, np.nan)
    known = per_frame[np.isfinite(per_frame)]
    return StabilityResult(float(known.mean()) if len(known) else float("nan"), per_frame)
