"""The only module that converts axes: OpenCV world, camera and head space ↔ Blender.

Blender: x right, y into the picture, z up; a character faces −y; a camera looks along its own −z with y up.
With these axes a camera at the OpenCV origin looks along +y from eye height above Blender's origin, and a head that
looks straight into it faces −y with no rotation at all. All maps are rigid, so winding and lengths stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from mathutils import Euler, Matrix
from numpy.typing import NDArray

F64 = NDArray[np.float64]

WORLD: F64 = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Blender world = WORLD · OpenCV world + EYE_HEIGHT: (x, y, z) → (x, z, 1.6 − y)."""
EYE_HEIGHT: F64 = np.array([0.0, 0.0, 1.6])
"""Metres: where a standing person's eyes are, so that a head fits on a body; and out of a new file's default cube."""
HEAD: F64 = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Blender object space = HEAD · head space: (x, y, z) → (x, −z, y)."""
CAMERA: F64 = np.diag([1.0, -1.0, -1.0])
"""Blender camera space = CAMERA · OpenCV camera space."""

HEAD_EULER_ORDER = "YXZ"
"""Tilt, then nod, then turn: the only gimbal lock is a nod of ±90°, where no camera in front sees the face."""
CAMERA_EULER_ORDER = "XYZ"
"""Blender's own default for cameras."""
EYE_EULER_ORDER = "XYZ"
"""In an eye bone's axes a gaze is exactly (pitch, 0, yaw)."""

SENSOR_MM = 36.0
"""Sensor length along the longer side of the picture, so that lenses read as full-frame (35 mm) equivalents."""


def head_points(points: NDArray[Any]) -> F64:
    """Points (…,3) of head space in the axes of Blender's head object, metres."""
    return np.asarray(points, np.float64) @ HEAD.T


def _to_blender(points: NDArray[Any]) -> F64:
    return np.asarray(points, np.float64) @ WORLD.T + EYE_HEIGHT


def rotation_matrices(axis_angle: NDArray[Any]) -> F64:
    """Rotation matrices (T,3,3) of axis-angle vectors (T,3) in radians (Rodrigues' formula)."""
    vectors = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.where(angle > 0, angle, 1.0)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, versine = np.sin(angle)[:, None, None], (1.0 - np.cos(angle))[:, None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)


def head_poses(rotation: NDArray[Any], translation: NDArray[Any]) -> tuple[F64, F64]:
    """Rotation matrices (T,3,3) and locations (T,3) of the head object from OpenCV axis-angle (T,3) and metres."""
    return WORLD @ rotation_matrices(rotation) @ HEAD.T, _to_blender(translation)


def camera_poses(world_to_camera: NDArray[Any]) -> tuple[F64, F64]:
    """Rotation matrices (T,3,3) and locations (T,3) of a Blender camera from OpenCV extrinsics (T,3,4)."""
    extrinsics = np.asarray(world_to_camera, np.float64)
    to_world = extrinsics[:, :, :3].transpose(0, 2, 1)
    centres = -np.einsum("tij,tj->ti", to_world, extrinsics[:, :, 3])
    return WORLD @ to_world @ CAMERA, _to_blender(centres)


def gaze_eulers(gaze: NDArray[Any]) -> F64:
    """Euler angles (T,3) of an eye bone (x: subject's right, y: out of the face, z: up) from (yaw, pitch) (T,2)."""
    angles = np.asarray(gaze, np.float64)
    return np.stack([angles[:, 1], np.zeros(len(angles)), angles[:, 0]], axis=1)


def continuous_eulers(rotations: F64, order: str) -> F64:
    """Euler angles (T,3) in Blender's order, each frame the equivalent closest to the one before, so nothing flips."""
    angles = np.empty((len(rotations), 3))
    previous: Euler | None = None
    for index, rotation in enumerate(rotations):
        matrix = Matrix(rotation.tolist())
        previous = matrix.to_euler(order, previous) if previous is not None else matrix.to_euler(order)
        angles[index] = previous
    return angles


@dataclass(frozen=True)
class Lens:
    """A pinhole in Blender's words: the sensor is fitted to the picture's longer side; shifts are in units of it."""

    sensor_fit: Literal["HORIZONTAL", "VERTICAL"]
    sensor_width: float  # mm
    sensor_height: float  # mm
    shift_x: float
    shift_y: float
    mm_per_pixel: float  # focal length in mm = focal length in pixels × this


def lens(image_size: tuple[int, int], principal_point: NDArray[Any]) -> Lens:
    """The lens of a picture of (width, height) pixels that the optical axis meets at ``principal_point (2,)``."""
    width, height = image_size
    longer = max(width, height)
    return Lens(
        sensor_fit="HORIZONTAL" if width >= height else "VERTICAL",
        sensor_width=SENSOR_MM * width / longer,
        sensor_height=SENSOR_MM * height / longer,
        shift_x=(width / 2 - float(principal_point[0])) / longer,
        shift_y=(float(principal_point[1]) - height / 2) / longer,
        mm_per_pixel=SENSOR_MM / longer,
    )
