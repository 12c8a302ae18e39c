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


def solve_pose(points: F64, pixels: F64, focal_px: float, centre: F64) -> tuple[F64, F64]:
    """Rotation (3,3) and translation (3,), head to camera, that lay points (K,3) over pixels (K,2) best.

    Least squares in pixels, from a weak-perspective start. The head is before the camera, upright by its own points.
    """
    rotation, translation = _weak_perspective(points, (pixels - centre) / focal_px)
    for _ in range(STEPS):
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
    x, y, z = placed.T
    zero = np.zeros_like(z)
    by_place = np.stack([np.stack([1 / z, zero, -x / z**2], 1), np.stack([zero, 1 / z, -y / z**2], 1)], 1) * focal_px
    a, b, c = turned.T
    # d(ω × v)/dω = −[v]×
    by_turn = np.stack([np.stack([zero, c, -b], 1), np.stack([-c, zero, a], 1), np.stack([b, -a, zero], 1)], 1)
    return np.concatenate([by_place @ by_turn, by_place], axis=2).reshape(-1, 6)


def _weak_perspective(points: F64, rays: F64) -> tuple[F64, F64]:
    """The start: an affine camera by least squares, its two rows made orthonormal."""
    middle, at = points.mean(axis=0), rays.mean(axis=0)
    affine = np.linalg.lstsq(points - middle, rays - at, rcond=None)[0].T  # (2,3)
    u, scales, vt = np.linalg.svd(affine, full_matrices=False)
    rows = u @ vt
    rotation = np.vstack([rows, np.cross(rows[0], rows[1])])
    depth = 1 / max(float(scales.mean()), 1e-9)
    return rotation, np.array([*(at * depth), depth]) - rotation @ middle
