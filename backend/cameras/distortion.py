"""Lens distortion taken out of points, and put into them.

The fit knows ideal pinhole cameras only (seeds/001 eq. 10), so what was seen through a lens is moved to where a pinhole
of the same focal length would have seen it, once, before the fit. How each kind of lens bends is its module's to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.cameras import brown_conrady, fisheye
from protocol.job import DistortionModel
from protocol.take import CameraTrack

F64 = NDArray[np.float64]

MODELS = {DistortionModel.BROWN_CONRADY: brown_conrady, DistortionModel.FISHEYE: fisheye}
COEFFICIENTS = {DistortionModel.BROWN_CONRADY: 8, DistortionModel.FISHEYE: 4}


@dataclass(frozen=True)
class Lens:
    """A real camera: pixel = (fx·x_d + cx, ratio·fx·y_d + cy), where (x_d, y_d) is the distorted direction (x/z, y/z).

    ``coefficients`` are those of ``model``: OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]], () for none, or its fisheye's
    k1, k2, k3, k4. Pixels with (0,0) the image's top-left corner.
    """

    focal_px: float
    principal_point: tuple[float, float]
    focal_ratio: float = 1.0
    coefficients: tuple[float, ...] = ()
    model: DistortionModel = DistortionModel.BROWN_CONRADY

    @property
    def ideal(self) -> bool:
        """True where this is a plain pinhole with square pixels already."""
        pinhole = self.model == DistortionModel.BROWN_CONRADY and not any(self.coefficients)
        return self.focal_ratio == 1.0 and pinhole


@dataclass(frozen=True, eq=False)
class UndistortedPoints:
    """Points (…,2) as the ideal pinhole sees them; ``magnification (…)`` is ideal pixels per real pixel there.

    ``valid (…)`` False where the lens model says nothing: beyond the radius at which its polynomial folds back, or so
    far off the axis that a pinhole cannot show it. Such points are left where they were.
    """

    points: F64
    magnification: F64
    valid: NDArray[np.bool_]


def lens_of(camera: CameraTrack) -> Lens:
    """The lens through which a track's camera saw its footage."""
    centre = (float(camera.principal_point[0]), float(camera.principal_point[1]))
    return Lens(float(camera.focal_px[0]), centre, camera.focal_ratio, camera.distortion, camera.distortion_model)


def distort(points: NDArray[np.floating[Any]], lens: Lens) -> F64:
    """The real camera's image of what the ideal pinhole of the same focal length sees at ``points (…,2)``, pixels.

    NaN where the lens model says nothing (see ``UndistortedPoints``).
    """
    centre, k, model = np.array(lens.principal_point), _coefficients(lens), MODELS[lens.model]
    direction = (np.asarray(points, np.float64) - centre) / lens.focal_px
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        distorted, _ = model.through_lens(direction, k)
        return np.where(model.in_field(direction, k)[..., None], distorted * _focal(lens) + centre, np.nan)


def undistort(points: NDArray[np.floating[Any]], lens: Lens) -> UndistortedPoints:
    """The image of ``points (…,2)``, pixels, in an ideal pinhole with focal length fx and the same centre."""
    points = np.asarray(points, np.float64)
    if lens.ideal:
        return UndistortedPoints(points, np.ones(points.shape[:-1]), np.ones(points.shape[:-1], bool))
    centre, k, model = np.array(lens.principal_point), _coefficients(lens), MODELS[lens.model]
    direction, valid = model.from_lens((points - centre) / _focal(lens), k)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        _, jacobian = model.through_lens(direction, k)
        determinant = jacobian[..., 0, 0] * jacobian[..., 1, 1] - jacobian[..., 0, 1] * jacobian[..., 1, 0]
    ideal = np.where(valid[..., None], direction * lens.focal_px + centre, points)
    magnification = np.where(valid, 1.0 / np.sqrt(np.where(valid, determinant, 1.0) * lens.focal_ratio), 1.0)
    return UndistortedPoints(ideal, magnification, valid)


def _focal(lens: Lens) -> F64:
    return np.array([lens.focal_px, lens.focal_px * lens.focal_ratio])


def _coefficients(lens: Lens) -> F64:
    """All coefficients of the model, in OpenCV's order."""
    return np.array([*lens.coefficients, *([0.0] * (COEFFICIENTS[lens.model] - len(lens.coefficients)))])
