"""The map of what the brightest lamp sees: whatever lies behind that is in shadow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SHADOW_SIDE = 256
"""Texels: about 1.5 mm of a head."""


def clip_from_lamp(vertices: NDArray[np.floating[Any]], direction: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(4,4) from camera space to the clip space of a distant lamp that lights ``vertices (R,3)``.

    ``direction`` is a unit vector towards it. The nearest to the lamp have the least depth.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    middle, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    aside = np.cross(direction, np.eye(3)[int(np.abs(direction).argmin())])
    aside /= np.linalg.norm(aside)
    axes = np.stack([aside, np.cross(direction, aside), -np.asarray(direction)]) / reach
    clip = np.eye(4)
    clip[:3, :3] = axes
    clip[:3, 3] = -axes @ middle
    return clip
