"""The head's turn and the camera's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.flowface.crop import CropLayout
from backend.training.samples import NOMINAL, sample_side

F64 = NDArray[np.float64]

FACING_CAMERA = Rotation.from_matrix(np.diag([1.0, -1.0, -1.0]))
"""Head space (x left, y up, z out) to a camera (x right, y down, z forward) that the head faces."""

_YAW = ((0.5, 0.0, 30.0), (0.3, 30.0, 60.0), (0.2, 60.0, 90.0))  # share, from, to; degrees
_NEAREST, _FARTHEST = 0.3, 2.0  # metres
_CLOSE_UP = (0.15, 0.3)
_FAR = (2.0, 3.0)


@dataclass(frozen=True, eq=False)
class Pose:
    """The head's pose before the camera.

    ``rotation (3,3)`` from head space to camera space and ``place (3,)`` of the face's middle there, metres;
    ``angles``: yaw, pitch, roll in radians (to the subject's left, up, towards its left shoulder).
    """

    rotation: F64
    place: F64
    angles: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole: ``focal_px`` and ``principal_point``, of the whole sample picture."""

    focal_px: float
    principal_point: tuple[float, float]

    def project(self, points: NDArray[np.floating[Any]]) -> F64:
        """Pixels (n,2) of points (n,3) in camera space."""
        points = np.asarray(points, np.float64)
        return np.asarray(points[:, :2] / points[:, 2:] * self.focal_px + self.principal_point)


def draw_pose(random: np.random.Generator) -> Pose:
    """Mostly near the front, to ±90° of yaw, ±45° of pitch and ±30° of roll; mostly 0.3 to 2 m away."""
    _, low, high = _YAW[random.choice(3, p=[share for share, _, _ in _YAW])]
    yaw = np.deg2rad(random.uniform(low, high)) * random.choice((-1, 1))
    pitch = np.deg2rad(np.clip(random.normal(0, 16), -45, 45))
    roll = np.deg2rad(np.clip(random.normal(0, 10), -30, 30))
    return posed(float(yaw), float(pitch), float(roll), draw_place(random))


def draw_place(random: np.random.Generator) -> F64:
    """The face's place in camera space (3,): a distance, and off the optical axis as faces are in whole pictures."""
    near, far = ((_NEAREST, _FARTHEST), _CLOSE_UP, _FAR)[random.choice(3, p=(0.78, 0.14, 0.08))]
    distance = float(np.exp(random.uniform(np.log(near), np.log(far))))
    aside = random.normal(0, 0.12, 2) * distance if random.random() < 0.5 else np.zeros(2)
    return np.array([*np.clip(aside, -0.35 * distance, 0.35 * distance), distance])


def posed(yaw: float, pitch: float, roll: float, place: F64) -> Pose:
    """A head at ``place`` turned by angles in radians from facing the camera along its optical axis."""
    turn = FACING_CAMERA * Rotation.from_euler("YXZ", [yaw, -pitch, -roll])
    return Pose(turn.as_matrix(), place, (yaw, pitch, roll))


def frame(layout: CropLayout, points: F64, nominal: int = NOMINAL) -> Camera:
    """The camera in whose picture the nominal crop of open-head points (≥V,3), in camera space, fills the middle.

    ``nominal`` is that crop's side, pixels.
    """
    ideal = layout.crop(points[:, :2] / points[:, 2:], nominal)
    focal = nominal / ideal.side
    middle = sample_side(nominal) / 2
    return Camera(focal, (middle - focal * ideal.x, middle - focal * ideal.y))
