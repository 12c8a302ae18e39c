"""The camera of a crop: it looks at the crop's middle, upright in it, and the pose is told as the crop shows it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.crop import Crop
from backend.training.synthetic.views import Camera

F64 = NDArray[np.float64]


def crop_turn(crop: Crop, camera: Camera) -> F64:
    """The rotation (3,3) from a picture's camera space to that of the camera of a crop that is not mirrored."""
    x, y = (np.array([crop.x, crop.y]) - camera.principal_point) / camera.focal_px
    # the shortest turn that takes the ray through the crop's middle to the optical axis
    axis = np.array([y, -x, 0.0])
    length = float(np.hypot(x, y))
    level = Rotation.from_rotvec(axis / max(length, 1e-12) * np.arctan(length))
    return np.asarray((Rotation.from_euler("z", -crop.roll) * level).as_matrix(), np.float64)


def to_units(mu: NDArray[np.floating], side: int) -> F64:  # type: ignore[type-arg]
    """Positions (…,2) in a crop of ``side`` pixels, in half sides from its middle."""
    return np.asarray(np.asarray(mu, np.float64) * (2 / side) - 1, np.float64)


def head_place(scale: float, shift: F64, crop: Crop, camera: Camera, turn: F64) -> F64:
    """The head's origin (3,) in the picture's camera space, metres, as weak perspective in a crop tells it.

    ``scale`` is half sides in a metre, ``shift (2,)`` where the origin lies in half sides from the middle; ``turn`` is
    ``crop_turn``'s. The depth is the one at which ``camera`` shows a metre as large.
    """
    ray = np.array([*(np.array([crop.x, crop.y]) - camera.principal_point) / camera.focal_px, 1.0])
    # pixels a metre takes across the line of sight, at unit distance along it
    pixels = camera.focal_px * np.linalg.norm(ray)
    distance = pixels / (scale * crop.side / 2)
    return np.asarray(turn.T @ np.array([shift[0] / scale, shift[1] / scale, distance]), np.float64)
