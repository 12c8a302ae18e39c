"""OpenCV's fisheye model (Kannala and Brandt, 2006, eq. 6), both ways. Pure numerics.

Directions are (x/z, y/z), at the angle θ = atan √(x² + y²) from the axis; the lens shows them at the radius θ_d =
θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸), coefficients (4,). All 0 is the equidistant projection.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

WIDEST = math.radians(85)
"""An ideal pinhole has no image of what is 90° off its axis; short of that its pixels grow without bounds."""
MAX_ITERATIONS = 60
_SAMPLES = np.linspace(0.0, WIDEST, 1701)


def in_field(direction: F64, k: F64) -> NDArray[np.bool_]:
    """(…) whether the lens images directions (…,2): up to ``WIDEST``, or to the angle at which θ_d folds back."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(np.arctan(np.linalg.norm(direction, axis=-1)) <= _widest(k))


def through_lens(direction: F64, k: F64) -> tuple[F64, F64]:
    """Distorted directions (…,2) and their derivatives (…,2,2) by the undistorted ones.

    With s = θ_d / r and g = dθ_d/dr the derivative is s 1 + (g - s) d dᵀ / r².
    """
    r2 = np.einsum("...i,...i->...", direction, direction)
    radius = np.sqrt(r2)
    theta = np.arctan(radius)
    near = r2 < 1e-10  # where both quotients are 0 / 0: their limits
    safe = np.where(near, 1.0, r2)
    scale = np.where(near, 1.0 + r2 * (k[0] - 1 / 3), _bent(theta, k) / np.sqrt(safe))
    slope = _derivative(theta, k) / (1 + r2)
    bend = np.where(near, 2 * (k[0] - 1 / 3), (slope - scale) / safe)
    outer = direction[..., :, None] * direction[..., None, :]
    jacobian = scale[..., None, None] * np.eye(2) + bend[..., None, None] * outer
    return direction * scale[..., None], jacobian


def from_lens(wanted: F64, k: F64) -> tuple[F64, NDArray[np.bool_]]:
    """The directions (…,2) that the lens shows at distorted ones, and (…) whether there is such a direction.

    Newton's method on θ, held between bounds that halve where it would leave them: θ_d grows throughout the field.
    """
    widest = _widest(k)
    radius = np.linalg.norm(wanted, axis=-1)
    with np.errstate(invalid="ignore", over="ignore"):
        reached = radius <= _bent(np.array(widest), k)
        target = np.where(reached, radius, 0.0)
        theta = _unbent(target, k, widest)
        valid = reached & (np.abs(_bent(theta, k) - target) < 1e-9)
        scale = np.where(target > 1e-9, np.tan(theta) / np.where(target > 1e-9, target, 1.0), 1.0)
    return np.where(valid[..., None], wanted * scale[..., None], wanted), valid


def _unbent(target: F64, k: F64, widest: float) -> F64:
    low, high = np.zeros_like(target), np.full_like(target, widest)
    theta = np.clip(target, low, high)
    for _ in range(MAX_ITERATIONS):
        error = _bent(theta, k) - target
        low, high = np.where(error <= 0, theta, low), np.where(error >= 0, theta, high)
        slope = _derivative(theta, k)
        stepped = theta - error / np.where(slope > 0, slope, 1.0)
        moved = np.where((slope > 0) & (stepped >= low) & (stepped <= high), stepped, (low + high) / 2)
        if not (np.abs(moved - theta) > 1e-15).any():
            break
        theta = moved
    return theta


def _bent(theta: F64, k: F64) -> F64:
    t2 = theta * theta
    return np.asarray(theta * (1 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3])))))


def _derivative(theta: F64, k: F64) -> F64:
    t2 = theta * theta
    return np.asarray(1 + t2 * (3 * k[0] + t2 * (5 * k[1] + t2 * (7 * k[2] + t2 * 9 * k[3]))))


def _widest(k: F64) -> float:
    """The angle up to which θ_d grows, at most ``WIDEST``."""
    with np.errstate(invalid="ignore", over="ignore"):
        falling = np.flatnonzero(~(_derivative(_SAMPLES, k) > 1e-3))
    return float(_SAMPLES[falling[0] - 1]) if len(falling) else WIDEST
