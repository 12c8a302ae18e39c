"""The pose of a head from where its points lie in a picture, under a full perspective camera. Pure numerics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

F64 = NDArray[np.float64]

STEPS = 8
"""Most Gauss–Newton steps."""
SETTLED = 1e-7
"""Radians and metres below which a step ends the search."""


def project(points: F64, focal_px: float, centre: F64) -> F64:
    """Pixels (…,2) of points (…,3) in camera space, metres."""
    return np.asarray(points[..., :2] / points[..., 2:] * focal_px + centre)


def solve_pose(points: F64, pixels: F64, focal_px: float, centre: F64, steps: int = STEPS) -> tuple[F64, F64]:
    """Rotation (3,3) and translation (3,), head to camera, that lay points (K,3) over pixels (K,2) best.

    Least squares in pixels, from a weak-perspective start, ``steps`` at most. The head is before the
    camera, upright by its own points.
    """
    rotation, translation = _weak_perspective(points, (pixels - centre) / focal_px)
    for _ in range(steps):
        turned = points @ rotation.T
        placed = turned + translation
        jacobian = jacobian_of(turned, placed, focal_px)
        residual = (pixels - project(placed, focal_px, centre)).ravel()
        step = np.linalg.lstsq(jacobian, residual, rcond=None)[0]
        rotation = Rotation.from_rotvec(step[:3]).as_matrix() @ rotation
        translation = translation + step[3:]
        if np.abs(step).max() < SETTLED:
            break
    return rotation, translation


def jacobian_of(turned: F64, placed: F64, focal_px: float) -> F64:
    """(2K,6) of pixels by a small turn, from the left, and a shift: ``turned (K,3)`` is R·X, ``placed`` that + t."""
    (x, y, z), (a, b, c) = placed.T, turned.T
    scale = focal_px / z
    u, v = -x / z * scale, -y / z * scale  # of a pixel by depth
    jacobian = np.zeros((len(placed), 2, 6))
    jacobian[:, 0, 3] = jacobian[:, 1, 4] = scale
    jacobian[:, 0, 5], jacobian[:, 1, 5] = u, v
    # d(ω × v)/dω = −[v]×
    jacobian[:, 0, 0], jacobian[:, 0, 1], jacobian[:, 0, 2] = u * b, scale * c - u * a, -scale * b
    jacobian[:, 1, 0], jacobian[:, 1, 1], jacobian[:, 1, 2] = v * b - scale * c, -v * a, scale * a
    return jacobian.reshape(-1, 6)


def _weak_perspective(points: F64, rays: F64) -> tuple[F64, F64]:
    """The start: an affine camera by least squares, its two rows made orthonormal."""
    middle, at = points.mean(axis=0), rays.mean(axis=0)
    affine = np.linalg.lstsq(points - middle, rays - at, rcond=None)[0].T  # (2,3)
    u, scales, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt
    rotation = np.vstack([rows, np.cross(rows[0], rows[1])])
    depth = 1 / max(float(scales.mean()), 1e-9)
    return rotation, np.array([*(at * depth), depth]) - rotation @ middle
