"""OpenCV's pinhole model with rational radial and tangential distortion ("Brown–Conrady"), both ways. Pure numerics.

Directions are (x/z, y/z); coefficients (8,) are k1, k2, p1, p2, k3, k4, k5, k6 ("Camera Calibration and 3D
Reconstruction" of OpenCV's documentation, without its thin prism and tilt terms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MAX_ITERATIONS = 50
CONVERGED = 1e-12  # in units of the focal length: far below what float32 pixels can say


def in_field(direction: F64, k: F64) -> NDArray[np.bool_]:
    """(…) whether the lens images directions (…,2): beyond the radius at which its polynomial folds back, none is."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        _, jacobian = through_lens(direction, k)
        unfolded = np.linalg.norm(direction, axis=-1) < _fold_radius(k)
        return np.asarray(unfolded & (_determinant(jacobian) > 1e-3))


def from_lens(wanted: F64, k: F64) -> tuple[F64, NDArray[np.bool_]]:
    """The directions (…,2) that the lens shows at distorted ones, and (…) whether there is such a direction.

    Newton's method on the distortion equations; unlike the usual fixed-point iteration it converges wherever the model
    can be inverted at all.
    """
    direction = wanted.copy()
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for _ in range(MAX_ITERATIONS):
            reached, jacobian = through_lens(direction, k)
            error = reached - wanted
            if not (np.abs(error) > CONVERGED).any():
                break
            direction = direction - _limited(_solve(jacobian, error))
        reached, _ = through_lens(direction, k)
        # The smallest radius counts: a direction behind a fold may land on the same pixel.
        valid = (np.abs(reached - wanted).max(axis=-1) < 1e-7) & in_field(direction, k)
    return direction, valid


def through_lens(direction: F64, k: F64) -> tuple[F64, F64]:
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


def _determinant(jacobian: F64) -> F64:
    return np.asarray(jacobian[..., 0, 0] * jacobian[..., 1, 1] - jacobian[..., 0, 1] * jacobian[..., 1, 0])


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
