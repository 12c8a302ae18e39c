"""The part of a head's surface that shows from outside: all that a scanner would have captured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.rasterise import rasterise
from backend.head_model.render import look_at_head

SIDES = ((0, 0), (35, 0), (-35, 0), (75, 0), (-75, 0), (0, -30), (0, 30))  # yaw and pitch, degrees


def seen_from_outside(
    neutral: NDArray[np.floating[Any]], triangles: NDArray[np.int32], middle: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """(V,) vertices of triangles that a picture of a neutral head (head space, metres) from one of ``SIDES`` shows."""
    seen = np.zeros(len(neutral), bool)
    for yaw, pitch in SIDES:
        camera = look_at_head(1.0, np.deg2rad(yaw), np.deg2rad(pitch), target=tuple(middle))
        shown = rasterise(
            neutral @ camera[:, :3].T + camera[:, 3],
            triangles,
            focal_px=2600.0,
            principal_point=np.array([350.0, 350.0]),
            image_size=(700, 700),
        )
        seen[triangles[np.unique(shown.triangle[shown.covered])]] = True
    return seen
