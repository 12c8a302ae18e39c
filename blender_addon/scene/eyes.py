"""Iris and pupil as materials of their own, so that the gaze can be read in any viewport shading."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from .polygons import Polygons

EYES_PART = "eyes"
IRIS_RADIUS = 0.00585  # m: half the mean horizontal visible iris diameter of adults (11.7 mm)
PUPIL_RADIUS = 0.0022  # m: a pupil in indoor light


def parts_with_irises(
    head: contract.HeadGeometry, polygons: Polygons
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Part names and the part of each face (P,), with the front of each eyeball split into iris and pupil.

    A head without a part called "eyes" is returned as it is. In the neutral head the optical axes are parallel to +z.
    """
    parts = polygons.part.copy()
    if EYES_PART not in head.part_names:
        return head.part_names, parts
    middles = polygons.middles(head.neutral)
    eyes = parts == head.part_names.index(EYES_PART)
    names = (*head.part_names, "iris", "pupil")
    for joint in (head.joint_names.index("left_eye"), head.joint_names.index("right_eye")):
        offset = middles - head.joints[joint]
        from_axis = np.linalg.norm(offset[:, :2], axis=1)
        front = eyes & (offset[:, 2] > 0)
        parts[front & (from_axis < IRIS_RADIUS)] = len(names) - 2
        parts[front & (from_axis < PUPIL_RADIUS)] = len(names) - 1
    return names, parts
