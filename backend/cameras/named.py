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
from backend.reading import shown
from protocol.bounds import FURTHEST, MAX_SIDE, ORTHONORMAL
from protocol.codec import ProtocolError
from protocol.messages import CameraSpec, DistortionModel

F64 = NDArray[np.float64]

OPENCV_COUNTS = (0, 4, 5, 8, 12, 14)
"""How many coefficients OpenCV's pinhole model may have; from the ninth on they are thin prism and tilted sensor."""
MAX_NAME = 1000
MAX_CAMERAS = 20_000
"""Cameras, or pictures with a place each, that a file may list: seconds of work, and more than any rig has."""


@dataclass(frozen=True)
class NamedCamera:
    """A camera as a calibration file calls it. Extrinsics are in the file's unit until the calibration is complete.

    ``picture``: ``name`` is the path of one picture, of which the same camera may have taken others.
    """

    name: str
    spec: CameraSpec
    picture: bool = False


@dataclass(frozen=True, eq=False)
class LensNumbers:
    """A lens as a file gives it: ``matrix (3,3)`` is K, ``distortion`` the coefficients of ``model`` in OpenCV's order.

    ``centred_pixels``: the file counts (0,0) as the centre of the first pixel, as OpenCV does, and not as its corner.
    """

    matrix: F64
    distortion: Sequence[float]
    model: DistortionModel
    centred_pixels: bool


def bad_calibration(path: Path, why: str, hint: str = "") -> UserError:
    """The refusal of a calibration file, in words."""
    return UserError(ErrorCode.BAD_CALIBRATION, f"The calibration {shown(path)} cannot be used: {why}.", hint)


def require_few(path: Path, count: int) -> None:
    """Refuse more than ``MAX_CAMERAS`` cameras."""
    if count > MAX_CAMERAS:
        raise bad_calibration(path, f"it has more than {MAX_CAMERAS} cameras or pictures")


def quoted(text: object) -> str:
    """What a file says, in quotation marks, so that it can stand in a sentence: short, and printable everywhere."""
    return f"“{printable(str(text)[:60])}”"


def printable(text: str) -> str:
    """The text with a replacement character for what has no glyph or cannot be encoded."""
    return "".join(letter if letter.isprintable() else "�" for letter in text[:MAX_NAME])


def named_camera(
    path: Path,
    name: str,
    image_size: Sequence[Any] | None,
    lens: LensNumbers,
    world_to_camera: F64 | None,
    *,
    picture: bool = False,
) -> NamedCamera:
    """The camera ``name`` of a file. ``world_to_camera (3,4)`` is [R | t] in the file's unit.

    Raises:
        UserError: ``bad_calibration`` naming what is absent or impossible; ``calibration_image_size`` without a size.
    """
    called = quoted(name)
    size = _size(path, called, image_size)
    matrix = lens.matrix
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or matrix[2, 2] == 0:
        raise bad_calibration(path, f"the camera matrix of {called} is not 3 × 3 finite numbers")
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        matrix = matrix / matrix[2, 2]
        skewed = np.abs(matrix[[1, 2, 2], [0, 0, 1]]).max() > 1e-6 or abs(matrix[0, 1]) > 1e-3 * abs(matrix[0, 0])
        ratio = float(matrix[1, 1] / matrix[0, 0]) if matrix[0, 0] > 0 else 1.0
    if skewed:
        raise bad_calibration(path, f"the camera matrix of {called} is not [fx 0 cx; 0 fy cy; 0 0 1]")
    shift = 0.5 if lens.centred_pixels else 0.0
    posed = None if world_to_camera is None else _rigid(path, called, world_to_camera)
    try:
        spec = CameraSpec(
            image_size=size,
            focal_px=float(matrix[0, 0]),
            focal_ratio=ratio,
            principal_point=(float(matrix[0, 2] + shift), float(matrix[1, 2] + shift)),
            distortion=_coefficients(path, called, lens),
            world_to_camera=None if posed is None else tuple(posed.ravel().tolist()),
            distortion_model=lens.model,
        )
    except ProtocolError as error:
        raise bad_calibration(path, f"{called} must have {str(error).split('must have ')[-1].rstrip('.')}") from error
    return NamedCamera(printable(name), spec, picture)


def rotation_matrix(path: Path, name: str, numbers: F64) -> F64:
    """(3,3) from a matrix, flat or not, or from an axis-angle vector of 3 radians (OpenCV's rvec)."""
    if numbers.size == 3 and np.isfinite(numbers).all() and np.abs(numbers).max() < FURTHEST:
        return np.asarray(Rotation.from_rotvec(numbers.ravel()).as_matrix())
    if numbers.shape == (9,):
        numbers = numbers.reshape(3, 3)
    if numbers.shape != (3, 3):
        raise bad_calibration(path, f"the rotation of {quoted(name)} is neither 3 × 3 nor 3 numbers")
    return numbers


def rigid_inverse(matrix: F64) -> F64:
    """[Rᵀ | -Rᵀt] (3,4) of a rigid [R | t] (3,4)."""
    rotation = matrix[:, :3].T
    return np.concatenate([rotation, -rotation @ matrix[:, 3:]], axis=1)


def _coefficients(path: Path, called: str, lens: LensNumbers) -> tuple[float, ...]:
    """The coefficients as ``CameraSpec`` has them: as many as the model has, none where a pinhole bends nothing."""
    numbers = np.ravel(np.asarray(lens.distortion, np.float64)).tolist()
    if lens.model is DistortionModel.FISHEYE:
        if len(numbers) != 4:
            raise bad_calibration(path, f"the fisheye lens of {called} has {len(numbers)} distortion numbers, not 4")
        return tuple(numbers)
    if len(numbers) not in OPENCV_COUNTS:
        raise bad_calibration(
            path,
            f"{called} has {len(numbers)} distortion numbers; OpenCV's lens model has 4, 5 or 8",
            "See the README.",
        )
    if any(numbers[8:]):  # OpenCV writes them as zeros where they were not solved for
        raise bad_calibration(path, f"{called} has thin prism or tilted sensor terms, which are not supported")
    return tuple(numbers[:8]) if any(numbers) else ()


def _size(path: Path, called: str, image_size: Sequence[Any] | None) -> tuple[int, int]:
    if image_size is None:
        raise UserError(
            ErrorCode.CALIBRATION_IMAGE_SIZE,
            f"The calibration {path} does not say for which image size {called} was calibrated.",
            "Add image_width and image_height, in pixels, to the file.",
        )
    sides = [side if isinstance(side, int | float) and not isinstance(side, bool) else -1 for side in image_size]
    if len(sides) != 2 or any(not (1 <= side <= MAX_SIDE) or side != int(side) for side in sides):
        raise bad_calibration(path, f"the image size of {called} is not two whole numbers of pixels")
    return int(sides[0]), int(sides[1])


def _rigid(path: Path, called: str, matrix: F64) -> F64:
    """[R | t] (3,4) with R made exactly orthonormal."""
    if matrix.shape != (3, 4) or not np.isfinite(matrix).all():
        raise bad_calibration(path, f"the position of {called} is not a 3 × 3 rotation and 3 numbers, all finite")
    rotation = matrix[:, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.abs(rotation.T @ rotation - np.eye(3)).max()
    if not square <= ORTHONORMAL:
        raise bad_calibration(path, f"the rotation of {called} is not one: its columns are not of length 1 and square")
    if np.linalg.det(rotation) < 0:
        raise bad_calibration(path, f"the rotation of {called} mirrors the world: one of its axes is turned round")
    if np.abs(matrix[:, 3]).max() > FURTHEST:
        raise bad_calibration(path, f"the translation of {called} is of more than {FURTHEST:g} units")
    u, _, vt = np.linalg.svd(rotation)
    return np.concatenate([u @ vt, matrix[:, 3:]], axis=1)
