"""One calibrated camera from the numbers that a file gives, checked: what every reader of calibrations ends in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import ErrorCode, UserError
from protocol.codec import ProtocolError
from protocol.messages import CameraSpec

F64 = NDArray[np.float64]

ORTHONORMAL = 1e-2
"""The bound on RᵀR's distance from 1: files round to a few digits; beyond is no rotation (a scale, or other axes)."""


@dataclass(frozen=True)
class NamedCamera:
    """A camera as a calibration file calls it. Extrinsics are in the file's unit until the calibration is complete."""

    name: str
    spec: CameraSpec


def bad_calibration(path: Path, why: str, hint: str = "") -> UserError:
    """The refusal of a calibration file, in words."""
    return UserError(ErrorCode.BAD_CALIBRATION, f"The calibration {path} cannot be used: {why}.", hint)


def named_camera(
    path: Path,
    name: str,
    image_size: tuple[Any, Any] | None,
    matrix: F64,
    distortion: Sequence[float],
    world_to_camera: F64 | None,
    *,
    centred_pixels: bool,
) -> NamedCamera:
    """The camera ``name`` of a file. ``matrix (3,3)`` is K; ``world_to_camera (3,4)`` is [R | t] in the file's unit.

    ``centred_pixels``: the file counts (0,0) as the centre of the first pixel, as OpenCV does, and not as its corner.

    Raises:
        UserError: ``bad_calibration`` naming what is absent or impossible; ``calibration_image_size`` without a size.
    """
    size = _size(path, name, image_size)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or matrix[2, 2] == 0:
        raise bad_calibration(path, f"the camera matrix of “{name}” is not 3 × 3 finite numbers")
    matrix = matrix / matrix[2, 2]
    if np.abs(matrix[[1, 2, 2], [0, 0, 1]]).max() > 1e-6 or abs(matrix[0, 1]) > 1e-3 * abs(matrix[0, 0]):
        raise bad_calibration(path, f"the camera matrix of “{name}” is not [fx 0 cx; 0 fy cy; 0 0 1]")
    numbers = np.ravel(np.asarray(distortion, np.float64))
    if len(numbers) > 8 and not np.any(numbers[8:]):
        numbers = numbers[:8]  # OpenCV writes its thin prism and tilt terms as zeros where they were not solved for
    if len(numbers) > 8:
        raise bad_calibration(path, f"“{name}” has thin prism or tilted sensor terms, which are not supported")
    padded = np.zeros(next(n for n in (0, 4, 5, 8) if n >= len(numbers)))
    padded[: len(numbers)] = numbers
    shift = 0.5 if centred_pixels else 0.0
    posed = None if world_to_camera is None else _rigid(path, name, world_to_camera)
    try:
        spec = CameraSpec(
            image_size=size,
            focal_px=float(matrix[0, 0]),
            focal_ratio=float(matrix[1, 1] / matrix[0, 0]) if matrix[0, 0] > 0 else 1.0,
            principal_point=(float(matrix[0, 2] + shift), float(matrix[1, 2] + shift)),
            distortion=tuple(padded.tolist()) if padded.any() else (),
            world_to_camera=None if posed is None else tuple(posed.ravel().tolist()),
        )
    except ProtocolError as error:
        raise bad_calibration(path, f"“{name}” must have {str(error).split('must have ')[-1].rstrip('.')}") from error
    return NamedCamera(name, spec)


def rotation_matrix(path: Path, name: str, numbers: F64) -> F64:
    """(3,3) from a matrix or from an axis-angle vector of 3 radians (OpenCV's rvec)."""
    if numbers.size == 3 and np.isfinite(numbers).all():
        return np.asarray(Rotation.from_rotvec(numbers.ravel()).as_matrix())
    if numbers.shape != (3, 3):
        raise bad_calibration(path, f"the rotation of “{name}” is neither 3 × 3 nor 3 numbers")
    return numbers


def _size(path: Path, name: str, image_size: tuple[Any, Any] | None) -> tuple[int, int]:
    if image_size is None:
        raise UserError(
            ErrorCode.CALIBRATION_IMAGE_SIZE,
            f"The calibration {path} does not say for which image size “{name}” was calibrated.",
            "Add image_width and image_height, in pixels, to the file.",
        )
    sides = [float(side) if isinstance(side, int | float) else -1.0 for side in image_size]
    if any(not (1 <= side <= 1 << 20) or side != int(side) for side in sides):
        raise bad_calibration(path, f"the image size of “{name}” is not two whole numbers of pixels")
    return int(sides[0]), int(sides[1])


def _rigid(path: Path, name: str, matrix: F64) -> F64:
    """[R | t] (3,4) with R made exactly orthonormal."""
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise bad_calibration(path, f"the position of “{name}” is not a 3 × 3 rotation and 3 numbers, all finite")
    rotation = matrix[:, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > ORTHONORMAL:
        raise bad_calibration(path, f"the rotation of “{name}” is not one: its columns are not of length 1 and square")
    if np.linalg.det(rotation) < 0:
        raise bad_calibration(path, f"the rotation of “{name}” mirrors the world: one of its axes is turned round")
    u, _, vt = np.linalg.svd(rotation)
    return np.concatenate([u @ vt, matrix[:, 3:]], axis=1)
