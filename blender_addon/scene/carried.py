"""Regions of a picture that follow the head: as points beside it, which it carries along."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import armature
from . import ownership as replace
from .sight import Sight

F64 = NDArray[np.float64]


def head_matrix(collection: Any, depsgraph: Any) -> F64 | None:
    """From the head's space to the scene (4,4) on the frame that is shown, wherever the head's motion is.

    None where the take has no armature any more.
    """
    rig = replace.member(collection, replace.ARMATURE)
    if rig is None:
        return None
    matrix = np.array(rig.evaluated_get(depsgraph).matrix_world, np.float64)
    bone = armature.bone_of(rig.data.bones, "neck")
    if bone is None:
        return matrix
    posed = np.array(rig.evaluated_get(depsgraph).pose.bones[bone.name].matrix, np.float64)
    return np.asarray(matrix @ posed @ np.linalg.inv(np.array(bone.matrix_local, np.float64)))


def beside_head(sight: Sight, head: F64, pixels: NDArray[Any]) -> F64:
    """Points (n,3) of the head's space that are seen at pixels (n,2), as far from the camera as the head's middle."""
    rays = sight.rays(pixels)
    depth = float((head[:3, 3] - sight.location) @ -sight.axes[:, 2])
    points = sight.location + depth * rays
    return np.asarray((points - head[:3, 3]) @ np.linalg.inv(head[:3, :3]).T)


def seen_with_head(sight: Sight, head: F64, places: NDArray[Any]) -> F64:
    """Where the camera sees points (n,3) of the head's space: pixels (n,2)."""
    return sight.pixels(np.asarray(places, np.float64) @ head[:3, :3].T + head[:3, 3])
