"""The only module that converts axes: OpenCV world, camera and head space ↔ Blender.

Blender: x right, y into the picture, z up; a character faces −y; a camera looks along its own −z with y up.
With these axes a camera at the OpenCV origin looks along +y from eye height above Blender's origin, and a head that
looks straight into it faces −y with no rotation at all. All maps are rigid, so winding and lengths stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from mathutils import Euler, Matrix, Quaternion
from numpy.typing import NDArray

F64 = NDArray[np.float64]

WORLD: F64 = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Blender world = WORLD · OpenCV world + EYE_HEIGHT, where nothing else is known: (x, y, z) → (x, z, 1.6 − y)."""
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


@dataclass(frozen=True, eq=False)
class Placement:
    """Pose of a take's OpenCV world in the Blender world: blender = scale · turn · opencv + offset."""

    turn: F64  # (3,3) rotation
    offset: F64  # (3,) Blender units
    scale: float = 1.0  # Blender units per metre

    def points(self, points: NDArray[Any]) -> F64:
        """Points (…,3) of the OpenCV world, metres, in the Blender world."""
        return self.scale * (np.asarray(points, np.float64) @ self.turn.T) + self.offset


def at_eye_level(metres_per_unit: float = 1.0) -> Placement:
    """Place a take whose world nobody knows: its first camera at eye height above Blender's origin."""
    return Placement(WORLD, EYE_HEIGHT / metres_per_unit, 1.0 / metres_per_unit)


@dataclass(frozen=True, eq=False)
class KnownPose:
    """Pose of a camera of the Blender scene: rotation (3,3) of its axes, location (3,) in Blender units."""

    rotation: F64
    location: F64


def head_points(points: NDArray[Any]) -> F64:
    """Points (…,3) of head space in the axes of Blender's head object, metres."""
    return np.asarray(points, np.float64) @ HEAD.T


def rotation_matrices(axis_angle: NDArray[Any]) -> F64:
    """Rotation matrices (T,3,3) of axis-angle vectors (T,3) in radians (Rodrigues' formula)."""
    vectors = np.asarray(axis_angle, np.float64)
    angle = np.linalg.norm(vectors, axis=1)
    x, y, z = (vectors / np.where(angle > 0, angle, 1.0)[:, None]).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sine, versine = np.sin(angle)[:, None, None], (1.0 - np.cos(angle))[:, None, None]
    return np.eye(3) + sine * cross + versine * (cross @ cross)


def head_poses(rotation: NDArray[Any], translation: NDArray[Any], placement: Placement) -> tuple[F64, F64]:
    """Rotation matrices (T,3,3) and locations (T,3) of the head object from OpenCV axis-angle (T,3) and metres."""
    return placement.turn @ rotation_matrices(rotation) @ HEAD.T, placement.points(translation)


def camera_poses(world_to_camera: NDArray[Any], placement: Placement) -> tuple[F64, F64]:
    """Rotation matrices (T,3,3) and locations (T,3) of a Blender camera from OpenCV extrinsics (T,3,4)."""
    to_world, centres = _camera_to_world(world_to_camera)
    return placement.turn @ to_world @ CAMERA, placement.points(centres)


def _camera_to_world(world_to_camera: NDArray[Any]) -> tuple[F64, F64]:
    extrinsics = np.asarray(world_to_camera, np.float64)
    to_world = extrinsics[:, :, :3].transpose(0, 2, 1)
    return to_world, -np.einsum("tij,tj->ti", to_world, extrinsics[:, :, 3])


def extrinsics_of(pose: KnownPose, metres_per_unit: float) -> F64:
    """OpenCV extrinsics (3,4), metres, of a camera of the Blender scene; ``at_eye_level`` leads back."""
    rotation = CAMERA.T @ pose.rotation.T @ WORLD
    centre = (pose.location * metres_per_unit - EYE_HEIGHT) @ WORLD
    return np.concatenate([rotation, -(rotation @ centre)[:, None]], axis=1)


def placed_by_cameras(
    known: Sequence[KnownPose], world_to_camera: Sequence[NDArray[Any]], units_per_metre: float | None
) -> Placement:
    """The placement in which cameras of a take, extrinsics (3,4) each, are the ``known`` ones of the scene.

    The first pair gives rotation and place exactly, so it does not matter which world the take was solved in. The
    scale is ``units_per_metre``; where that is None, it is the one in which the cameras stand as far apart as they
    stand (1 where all stand in one place and nothing can be told).
    """
    poses = [_camera_to_world(np.asarray(extrinsics)[None]) for extrinsics in world_to_camera]
    turn = known[0].rotation @ CAMERA.T @ poses[0][0][0].T
    if units_per_metre is None:
        in_scene = sum(float(np.linalg.norm(pose.location - known[0].location)) for pose in known)
        in_take = sum(float(np.linalg.norm(centre[0] - poses[0][1][0])) for _, centre in poses)
        units_per_metre = in_scene / in_take if in_scene > 0 and in_take > 0 else 1.0
    offset = known[0].location - units_per_metre * (turn @ poses[0][1][0])
    return Placement(turn, offset, units_per_metre)


def gaze_eulers(gaze: NDArray[Any]) -> F64:
    """Euler angles (T,3) of an eye bone (x: subject's right, y: out of the face, z: up) from (yaw, pitch) (T,2)."""
    angles = np.asarray(gaze, np.float64)
    return np.stack([angles[:, 1], np.zeros(len(angles)), angles[:, 0]], axis=1)


def continuous_eulers(rotations: F64, order: str, start: NDArray[Any] | None = None) -> F64:
    """Euler angles (T,3) in Blender's order, each frame the equivalent closest to the one before, so nothing flips.

    The first one is closest to ``start (3,)`` where that is given.
    """
    angles = np.empty((len(rotations), 3))
    previous: Euler | None = Euler(start, order) if start is not None else None
    for index, rotation in enumerate(rotations):
        matrix = Matrix(rotation.tolist())
        previous = matrix.to_euler(order, previous) if previous is not None else matrix.to_euler(order)
        angles[index] = previous
    return angles


ROTATION_PROPERTIES = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
"""By rotation mode; all other modes are orders of Euler angles."""


def rotation_property(mode: str) -> str:
    """The property in which an object or bone of this rotation mode has its rotation."""
    return ROTATION_PROPERTIES.get(mode, "rotation_euler")


def rotation_values(rotations: F64, mode: str, start: NDArray[Any] | None = None) -> F64:
    """Values (T,n) of ``rotation_property`` for rotations (T,3,3), which change as little as they can between frames.

    The first ones are closest to ``start (n,)`` where that is given.
    """
    if mode not in ROTATION_PROPERTIES:
        return continuous_eulers(rotations, mode, start)
    quaternions = np.array([Matrix(rotation.tolist()).to_quaternion() for rotation in rotations]).reshape(-1, 4)
    if mode == "QUATERNION":
        chain = quaternions if start is None else np.concatenate([np.reshape(start, (1, 4)), quaternions])
        flips = np.cumprod(np.where((chain[1:] * chain[:-1]).sum(axis=1) < 0, -1.0, 1.0))
        signs = flips if start is not None else np.concatenate([[1.0], flips])
        return np.asarray(quaternions * signs[:, None])
    turns = [Quaternion(quaternion).to_axis_angle() for quaternion in quaternions]
    return np.array([(angle, *axis) for axis, angle in turns]).reshape(-1, 4)


def rotations_from(values: NDArray[Any], mode: str) -> F64:
    """Rotations (T,3,3) of values (T,n) of ``rotation_property``."""
    if mode == "QUATERNION":
        turns = [Quaternion(value).normalized().to_matrix() for value in values]
    elif mode == "AXIS_ANGLE":
        turns = [Quaternion(value[1:], value[0]).to_matrix() for value in values]
    else:
        turns = [Euler(value, mode).to_matrix() for value in values]
    return np.array(turns, np.float64).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Lens:
    """A pinhole in Blender's words: the side of the picture that the sensor is fitted to is the unit of the shifts."""

    sensor_fit: Literal["AUTO", "HORIZONTAL", "VERTICAL"]
    sensor_width: float  # mm
    sensor_height: float  # mm
    shift_x: float
    shift_y: float


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
    )


def focal_mm(focal_px: Any, image_size: tuple[int, int]) -> Any:
    """Focal lengths in millimetres, with ``lens``'s sensor, of focal lengths in pixels."""
    return focal_px * (SENSOR_MM / max(image_size))


def pinhole(lens: Lens, millimetres: float, image_size: tuple[int, int]) -> tuple[float, tuple[float, float]]:
    """Focal length in pixels and principal point of a Blender lens over a picture of (width, height) square pixels."""
    width, height = image_size
    across = lens.sensor_fit == "HORIZONTAL" or (lens.sensor_fit == "AUTO" and width >= height)
    fitted = width if across else height
    # A sensor that is fitted by itself lends its width to whichever side of the picture is longer.
    sensor = lens.sensor_height if lens.sensor_fit == "VERTICAL" else lens.sensor_width
    principal_point = (width / 2 - lens.shift_x * fitted, height / 2 + lens.shift_y * fitted)
    return millimetres / sensor * fitted, principal_point
