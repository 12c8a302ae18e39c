"""Camera poses beside a head that holds still, in the axes that readers expect. Pure numerics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.track.types import Track

F64 = NDArray[np.float64]

OPENGL_AXES = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenCV's camera axes (x right, y down, z forward) from OpenGL's (x right, y up, z backward), and back."""


def head_pose(track: Track, frame: int) -> F64:
    """(4,4) the world position of a point of head space: R · head + translation (seeds/001 eq. 9)."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(track.head_rotation[frame].copy()).as_matrix()
    pose[:3, 3] = track.head_translation[frame]
    return pose


def world_to_camera(track: Track, view: int, frame: int) -> F64:
    """(4,4) a camera's extrinsics, OpenCV's axes."""
    return np.vstack([track.cameras[view].world_to_camera[frame], [0.0, 0.0, 0.0, 1.0]])


def head_to_camera(track: Track, view: int, frame: int) -> F64:
    """(4,4) the camera-space position (OpenCV's axes, metres) of a point of head space."""
    return world_to_camera(track, view, frame) @ head_pose(track, frame)


def camera_to_head(track: Track, view: int, frame: int, *, opengl: bool) -> F64:
    """(4,4) where a camera is and looks in head space; its axes are OpenGL's, or else OpenCV's."""
    pose = np.linalg.inv(head_to_camera(track, view, frame))
    return pose @ OPENGL_AXES if opengl else pose


def projected(points: NDArray[np.floating[Any]], to_camera: F64, focal: float, centre: NDArray[Any]) -> F64:
    """(n,3) pixels, the first pixel's centre at (0.5, 0.5), and depth along z of ``points (n,3)``."""
    seen = np.asarray(points, np.float64) @ to_camera[:3, :3].T + to_camera[:3, 3]
    seen[:, :2] = seen[:, :2] * (focal / seen[:, 2:]) + centre
    return seen
