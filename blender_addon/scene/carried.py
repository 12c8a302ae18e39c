"""Regions of a picture that follow the head: as points beside it, which it carries along."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import armature, axes
from . import ownership as replace
from .picture_lines import Eye

F64 = NDArray[np.float64]

MIDDLE = np.array([0.0, -0.565, 0.198])
"""From between the eyes to the middle of the face, in distances of the eyes, in head space: the mean of the face's
vertices of the open head's template."""


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


def face_middle(collection: Any) -> F64:
    """The middle (3,) of a take's face in the head's space; its origin where the eyes' bones are gone."""
    rig = replace.member(collection, replace.ARMATURE)
    bones = [armature.bone_of(rig.data.bones, eye) for eye in armature.EYES] if rig is not None else []
    eyes = np.array([tuple(bone.head_local) for bone in bones if bone is not None], np.float64)
    if len(eyes) < len(armature.EYES):
        return np.zeros(3)
    return np.asarray(eyes.mean(axis=0) + np.linalg.norm(eyes[0] - eyes[1]) * axes.head_points(MIDDLE))


def beside_head(eye: Eye, head: F64, middle: F64, pixels: NDArray[Any]) -> F64:
    """Points (n,3) of the head's space that are seen at pixels (n,2), as far from the camera as the face's ``middle``
    (3,) in that space."""
    depth = eye.depths((head[:3, :3] @ middle + head[:3, 3])[None])
    points = eye.points(pixels, np.repeat(depth, len(pixels)))
    return np.asarray((points - head[:3, 3]) @ np.linalg.inv(head[:3, :3]).T)


def seen_with_head(eye: Eye, head: F64, places: NDArray[Any]) -> F64:
    """Where the camera sees points (n,3) of the head's space: pixels (n,2)."""
    return eye.pixels(np.asarray(places, np.float64) @ head[:3, :3].T + head[:3, 3])
