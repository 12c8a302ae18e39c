"""Lens distortion: OpenCV's rational radial and tangential model, both ways, by Newton's method. Pure numerics.

The fit knows ideal pinhole cameras only (seeds/001 eq. 10), so what was seen through a lens is moved to where a pinhole
of the same focal length would have seen it, once, before the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MAX_ITERATIONS = 50
CONVERGED = 1e-12  # in units of the focal length: far below what float32 pixels can say


@dataclass(frozen=True)
class Lens:
    """A real camera: pixel = (fx·x_d + cx, ratio·fx·y_d + cy), where (x_d, y_d) is the distorted direction (x/z, y/z).

    ``coefficients`` are OpenCV's k1, k2, p1, p2[, k3[, k4, k5, k6]] ("Camera Calibration and 3D Reconstruction", the
    pinhole model without its thin prism and tilt terms); () is none. Pixels with (0,0) the image's top-left corner.
    """

    focal_px: float
    principal_point: tuple[float, float]
    focal_ratio: float = 1.0
    coefficients: tuple[float, ...] = ()

    @property
    def ideal(self) -> bool:
        """True where this is a plain pinhole with square pixels already."""
        return self.focal_ratio == 1.0 and not any(self.coefficients)


@dataclass(frozen=True, eq=False)
class UndistortedPoints:
    """Points (…,2) as the ideal pinhole sees them; ``magnification (…)`` is ideal pixels per real pixel there.

    ``valid (…)`` False where the lens model says nothing: beyond the radius at which its polynomial folds back. Such
    points are left where they were.
    """

    points: F64
    magnification: F64
    valid: NDArray[np.bool_]


def distort(points: NDArray[np.floating[Any]], lens: Lens) -> F64:
    """The real camera's image of what the ideal pinhole of the same focal length sees at ``points (…,2)``, pixels."""
    centre = np.array(lens.principal_point)
    distorted, _ = _through_lens((np.asarray(points, np.float64) - centre) / lens.focal_px, _coefficients(lens))
    return distorted * _focal(lens) + centre


def undistort(points: NDArray[np.floating[Any]], lens: Lens) -> UndistortedPoints:
    """The image of ``points (…,2)``, pixels, in an ideal pinhole with focal length fx and the same centre.

    Newton's method on the distortion equations; unlike the usual fixed-point iteration it converges wherever the model
    can be inverted at all.
    """
    centre, focal = np.array(lens.principal_point), _focal(lens)
    points = np.asarray(points, np.float64)
    if lens.ideal:
        return UndistortedPoints(points, np.ones(points.shape[:-1]), np.ones(points.shape[:-1], bool))
    wanted = (points - centre) / focal
    k = _coefficients(lens)
    direction = wanted.copy()
    for _ in range(MAX_ITERATIONS):
        reached, jacobian = _through_lens(direction, k)
        error = reached - wanted
        if not (np.abs(error) > CONVERGED).any():
            break
        direction = direction - _limited(_solve(jacobian, error))
    reached, jacobian = _through_lens(direction, k)
    determinant = jacobian[..., 0, 0] * jacobian[..., 1, 1] - jacobian[..., 0, 1] * jacobian[..., 1, 0]
    valid = (np.abs(reached - wanted).max(axis=-1) < 1e-7) & (determinant > 1e-3)
    # The smallest radius counts: a direction behind a fold may land on the same pixel.
    valid &= np.linalg.norm(direction, axis=-1) < _fold_radius(k)
    ideal = np.where(valid[..., None], direction * lens.focal_px + centre, points)
    with np.errstate(invalid="ignore", divide="ignore"):
        magnification = np.where(valid, 1.0 / np.sqrt(np.where(valid, determinant, 1.0) * lens.focal_ratio), 1.0)
    return UndistortedPoints(ideal, magnification, valid)


def _focal(lens: Lens) -> F64:
    return np.array([lens.focal_px, lens.focal_px * lens.focal_ratio])


def _coefficients(lens: Lens) -> F64:
    """(8,) in OpenCV's order."""
    return np.array([*lens.coefficients, *([0.0] * (8 - len(lens.coefficients)))])


def _through_lens(direction: F64, k: F64) -> tuple[F64, F64]:
    """Distorted directions (…,2) and their derivatives (…,2,2) by the undistorted ones."""
    k1, k2, p1, p2, k3, k4, k5, k6 = k
    x, y = direction[..., 0], direction[..., 1]
    r2 = x * x + y * y
    top = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bottom = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = top / bottom
    slope = (k1 + r2 * (2 * k2 + 3 * r2 * k3)) / bottom - radial * (k4 + r2 * (2 * k5 + 3 * r2 * k6)) / bottom
    distorted = np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )
    mixed = 2 * slope * x * y + 2 * p1 * x + 2 * p2 * y
    rows = [
        radial + 2 * slope * x * x + 2 * p1 * y + 6 * p2 * x,
        mixed,
        mixed,
        radial + 2 * slope * y * y + 6 * p1 * y + 2 * p2 * x,
    ]
    return distorted, np.stack(rows, axis=-1).reshape(*distorted.shape, 2)


def _solve(jacobian: F64, error: F64) -> F64:
    """jacobian⁻¹ · error, (…,2); where the jacobian is singular, the error itself."""
    a, b, c, d = (jacobian[..., i, j] for i in (0, 1) for j in (0, 1))
    determinant = a * d - b * c
    safe = np.where(np.abs(determinant) > 1e-6, determinant, 1.0)
    step = np.stack([d * error[..., 0] - b * error[..., 1], a * error[..., 1] - c * error[..., 0]], axis=-1)
    return np.where((np.abs(determinant) > 1e-6)[..., None], step / safe[..., None], error)


def _limited(step: F64) -> F64:
    """Steps of at most 0.3 focal lengths, so that none jumps over a fold of the polynomial."""
    length = np.linalg.norm(step, axis=-1, keepdims=True)
    return step * np.minimum(1.0, 0.3 / np.maximum(length, 1e-12))


def _fold_radius(k: F64) -> float:
    """The radius (x, y over z) up to which the radial part grows; infinite where it always does up to 70° off axis."""
    radius = np.linspace(0.0, 2.75, 1101)
    r2 = radius**2
    with np.errstate(divide="ignore", invalid="ignore"):
        radial = radius * (1 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))) / (1 + r2 * (k[5] + r2 * (k[6] + r2 * k[7])))
    falling = np.flatnonzero(~(np.diff(radial) > 0))
    return float(radius[falling[0]]) if len(falling) else np.inf
