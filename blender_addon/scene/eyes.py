"""Iris and pupil as materials of their own, so that the gaze can be read in any viewport shading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from .polygons import Polygons

EYES_PART = "eyes"
IRIS_RADIUS = 0.00585  # m: half the mean horizontal visible iris diameter of adults (11.7 mm)
PUPIL_RADIUS = 0.0022  # m: a pupil in indoor light
RING_SLACK = 0.15  # share of a radius by which people's eyes are larger or smaller than the head's mean
LEAST_GAP = 0.02  # share of a radius between two rings of faces; within one they differ by rounding


def parts_with_irises(head: contract.HeadGeometry, polygons: Polygons) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Part names and the part of each face (P,), with the front of each eyeball split into iris and pupil.

    A head without a part called "eyes" is returned as it is. In the neutral head the optical axes are parallel to +z.
    """
    parts = polygons.part.copy()
    if EYES_PART not in head.part_names:
        return head.part_names, parts
    middles = polygons.middles(head.neutral)
    eyes = parts == head.part_names.index(EYES_PART)
    names = (*head.part_names, "iris", "pupil")
    joints = head.joints[[head.joint_names.index(name) for name in ("left_eye", "right_eye")]]
    side = np.linalg.norm(middles[:, None] - joints, axis=2).argmin(axis=1)
    for eye in range(len(joints)):
        ball = np.flatnonzero(eyes & (side == eye))
        if not len(ball):
            continue
        offset = middles[ball] - joints[eye]
        # the ball's own middle: a joint found by regression is off by tenths of a millimetre
        axis = (offset[:, :2].min(axis=0) + offset[:, :2].max(axis=0)) / 2
        from_axis = np.linalg.norm(offset[:, :2] - axis, axis=1)
        front = offset[:, 2] > 0
        parts[ball[front & (from_axis < _between_rings(from_axis[front], IRIS_RADIUS))]] = len(names) - 2
        parts[ball[front & (from_axis < _between_rings(from_axis[front], PUPIL_RADIUS))]] = len(names) - 1
    return names, parts


def _between_rings(from_axis: NDArray[np.float64], radius: float) -> float:
    """The gap between faces nearest to a radius: a ring of them is inside or outside as a whole."""
    order = np.sort(from_axis)
    gaps = np.flatnonzero(np.diff(order) > LEAST_GAP * radius)
    if not len(gaps):
        return radius
    middles = (order[gaps] + order[gaps + 1]) / 2
    nearest = float(middles[np.abs(middles - radius).argmin()])
    return nearest if abs(nearest - radius) < RING_SLACK * radius else radius
