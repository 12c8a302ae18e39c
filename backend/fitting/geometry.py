"""Rotations and the pinhole camera, batched in torch, with the derivatives the solver needs."""

from __future__ import annotations

import torch
from torch import Tensor


def _matrices(entries: Tensor, rows: int, columns: int) -> Tensor:
    return entries.reshape(*entries.shape[:-1], rows, columns)


def skew(vector: Tensor) -> Tensor:
    """Cross-product matrices (…,3,3) of vectors (…,3): skew(a) @ b = a × b."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return _matrices(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1), 3, 3)


def rotation_exp(vector: Tensor) -> Tensor:
    """Rotation matrices (…,3,3) of axis-angle vectors (…,3) in radians (Rodrigues' formula)."""
    return torch.linalg.matrix_exp(skew(vector))


def gaze_rotation(gaze: Tensor) -> tuple[Tensor, Tensor]:
    """Eye rotations (…,3,3) of gaze (…,2) = (yaw, pitch), and their derivatives (…,2,3,3) to yaw and pitch.

    The convention is ``backend.head_model.model.gaze_rotation``: R = R_y(yaw) R_x(−pitch).
    """
    yaw, pitch = gaze.unbind(-1)
    cy, sy, cp, sp = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()
    zero = torch.zeros_like(cy)
    rotation = torch.stack([cy, -sy * sp, sy * cp, zero, cp, sp, -sy, -cy * sp, cy * cp], -1)
    d_yaw = torch.stack([-sy, -cy * sp, cy * cp, zero, zero, zero, -cy, sy * sp, -sy * cp], -1)
    d_pitch = torch.stack([zero, -sy * cp, -sy * sp, zero, -sp, cp, zero, -cy * cp, -cy * sp], -1)
    return _matrices(rotation, 3, 3), _matrices(torch.stack([d_yaw, d_pitch], -2), 3, 3)


def project(points: Tensor, focal: Tensor, principal_point: Tensor) -> tuple[Tensor, Tensor]:
    """Pinhole projection (seeds/001 eq. 10) of camera-space points (…,3) to pixels (…,2).

    Also returns the derivative (…,2,3) to the camera-space point. Depths are clamped to 1 mm so that a wild step
    cannot divide by zero; such a step is rejected for its energy.
    """
    depth = points[..., 2].clamp_min(1e-3)
    scale = focal / depth
    image = points[..., :2] * scale[..., None] + principal_point
    jacobian = points.new_zeros(*points.shape[:-1], 2, 3)
    jacobian[..., 0, 0] = jacobian[..., 1, 1] = scale
    jacobian[..., 2] = points[..., :2] * (-scale / depth)[..., None]
    return image, jacobian
