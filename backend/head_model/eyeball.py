"""An eye as a sphere about its joint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import JOINT_NAMES, HeadModel

F64 = NDArray[np.float64]

REACH = 0.006  # metres from the eyeball within which skin is a lid's
UNEVEN = 0.02
"""Spread of an eyeball's radius, as a share of it, from which it is none that lids can be kept off whatever it looks
at: the open head's is below 1e-4."""


@dataclass(frozen=True, eq=False)
class Eyeball:
    """A sphere: ``centre (3,)`` and ``radius``, metres."""

    centre: F64
    radius: float

    def height(self, points: NDArray[np.floating[Any]]) -> F64:
        """How far points (…,3) are outside it (…,), metres; below 0 inside."""
        return np.asarray(np.linalg.norm(points - self.centre, axis=-1) - self.radius, np.float64)


def eyeball_of(head: HeadModel, neutral: NDArray[np.floating[Any]], part: str) -> Eyeball | None:
    """An eye of a neutral (V,3), region ``part``; None where the head has none or it is no sphere about its joint."""
    vertices = head.regions.get(part)
    if vertices is None or not vertices.any():
        return None
    centre = head.joints(neutral)[JOINT_NAMES.index(part.replace("eyeball", "eye"))].astype(np.float64)
    distance = np.linalg.norm(neutral[vertices] - centre, axis=1)
    radius = float(distance.mean())
    return Eyeball(centre, radius) if distance.std() < UNEVEN * radius else None
