"""A part of a take that was tracked alone, brought to the camera and the person that the take already has.

Alone it found a lens and a head size of its own. What both show of the head in the picture is the same once the head
stands where the take's own lens sees the take's own head as large, and at the same place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from . import axes

F64 = NDArray[np.float64]

SAME = 1e-5
"""Radians, metres and shares: what single precision does to a camera is less, and another solve's differs by more."""


@dataclass(frozen=True, eq=False)
class ShownCamera:
    """A camera of a built take on T frames, in the space of the take's root.

    ``rotations (T,3,3)`` and ``locations (T,3)`` are its axes as Blender has them, ``focal_px (T,)`` and
    ``principal_point (2,)`` its lens over the view's picture, ``scale`` the units of the space per metre.
    """

    rotations: F64
    locations: F64
    focal_px: F64
    principal_point: F64
    scale: float


def head_poses(take: contract.TakeResult, shown: ShownCamera, size: float) -> tuple[F64, F64]:
    """Rotations (T,3,3) and locations (T,3) of the head object in the space of the take's root.

    ``size`` is how large the take's own head is, with that of the new run as 1. Another lens sees the same pixel along
    another line of sight: the head moves along that, and turns with it, so that the same side of it is seen. What
    perspective then changes within the head is left as it is.
    """
    view = take.cameras[0]
    to_camera = view.world_to_camera[:, :, :3]
    rotation = to_camera @ axes.rotation_matrices(take.head_rotation)
    place = np.einsum("tij,tj->ti", to_camera, take.head_translation) + view.world_to_camera[:, :, 3]
    depth = size * shown.focal_px / view.focal_px * place[:, 2]
    seen = view.focal_px[:, None] * place[:, :2] / place[:, 2:] + view.principal_point
    aside = depth[:, None] / shown.focal_px[:, None] * (seen - shown.principal_point)
    moved = np.concatenate([aside, depth[:, None]], axis=1)
    rotation = _from_line_to_line(place, moved) @ rotation
    axes_of_camera = shown.rotations @ axes.CAMERA
    locations = shown.locations + shown.scale * np.einsum("tij,tj->ti", axes_of_camera, moved)
    return axes_of_camera @ rotation @ axes.HEAD.T, locations


def same_camera(take: contract.TakeResult, shown: ShownCamera, size: float, placement: axes.Placement) -> bool:
    """True where a run has, at ``placement``, the very camera and head of the take: nothing has to be brought there."""
    view = take.cameras[0]
    rotations, locations = axes.camera_poses(view.world_to_camera, placement)
    return bool(
        np.abs(shown.rotations - rotations).max() < SAME
        and np.abs(shown.locations - locations).max() < SAME * shown.scale
        and np.abs(shown.focal_px / view.focal_px - 1).max() < SAME
        and np.abs(shown.principal_point - view.principal_point).max() < SAME * max(view.image_size)
        and abs(shown.scale / placement.scale - 1) < SAME
        and abs(size - 1) < SAME
    )


def _from_line_to_line(one: F64, other: F64) -> F64:
    """The smallest rotations (T,3,3) that take directions ``one (T,3)`` to ``other (T,3)``."""
    start, end = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (one, other))
    axis = np.cross(start, end)
    sine = np.linalg.norm(axis, axis=1)
    angle = np.arctan2(sine, (start * end).sum(axis=1))
    return axes.rotation_matrices(axis * (angle / np.where(sine > 0, sine, 1.0))[:, None])


def size_of(own: NDArray[Any], other: NDArray[Any]) -> float:
    """How large the head of vertices ``own (V,3)`` is, with that of the same vertices ``other (V,3)`` as 1."""
    spread = [np.linalg.norm(points - points.mean(axis=0)) for points in (own.astype(float), other.astype(float))]
    return float(spread[0] / spread[1])
