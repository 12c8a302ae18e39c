"""The unknowns of a fit, how a step moves them, and the head-space points they imply."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.cameras import Cameras, CameraUnknowns, moved_along_ray
from backend.fitting.geometry import gaze_rotation, rotation_exp
from backend.fitting.point_basis import PointBasis

POSE_UNKNOWNS = 6
GAZE_UNKNOWNS = 4


@dataclass(frozen=True, eq=False)
class State:
    """All unknowns of a take of T frames (seeds/001 eq. 11), float64.

    What frames share: ``identity (K_id,)``, its last entries δ_d's where that is solved for, and ``cameras``.
    Per frame: ``expression (T,K_ex)``, ``rotation (T,3,3)`` and ``translation (T,3)`` from head to world space,
    ``gaze (T,4)`` = (left, right) × (yaw, pitch).
    """

    identity: Tensor
    cameras: Cameras
    expression: Tensor
    rotation: Tensor
    translation: Tensor
    gaze: Tensor

    @property
    def frame_count(self) -> int:
        return len(self.expression)

    def coefficients(self) -> Tensor:
        """(T,K): the columns (1, β, φ) that multiply every basis."""
        frames = self.frame_count
        one = self.expression.new_ones(frames, 1)
        return torch.cat([one, self.identity.expand(frames, -1), self.expression], dim=1)

    def moved(self, shared: Tensor, frames: Tensor, basis: PointBasis, unknowns: CameraUnknowns) -> State:
        """The state after a step: ``shared (K_id+U,)`` = (β, cameras), ``frames (T,K_ex+10)`` = (φ, δ, τ, gaze).

        Rotations move on the right, R ← R exp(δ), and translations in the head's own axes, t ← t + R τ to first order,
        so that both unknowns are in head space like everything else. Positions move along the first camera's rays.
        Expressions are clamped to their bounds.
        """
        count = basis.expression_count
        delta, tau = frames[:, count : count + 3], frames[:, count + 3 : count + 6]
        to_first, origin = self.cameras.rotation[0], self.cameras.translation[0]
        seen = self.translation @ to_first.T + origin
        seen = moved_along_ray(seen, (self.rotation @ tau[..., None])[..., 0] @ to_first.T)
        return State(
            identity=self.identity + shared[: basis.identity_count],
            cameras=unknowns.moved(self.cameras, shared[basis.identity_count :]),
            expression=(self.expression + frames[:, :count]).clamp(basis.lower, basis.upper),
            rotation=self.rotation @ rotation_exp(delta),
            translation=(seen - origin) @ to_first,
            gaze=self.gaze + frames[:, count + POSE_UNKNOWNS :],
        )


@dataclass(frozen=True, eq=False)
class EyePoints:
    """Head-space positions (T,Ne,3) of points on the eyeballs and what is needed to differentiate them."""

    position: Tensor
    columns: Tensor  # (T,Ne,3,K) derivative to (1, β, φ)
    turned: Tensor  # (T,Ne,2,3) derivative to that eye's (yaw, pitch)


def skin_points(basis: PointBasis, coefficients: Tensor) -> Tensor:
    """Head-space positions (T,Ns,3) of the points that only deform."""
    count = basis.skin.shape[0]
    return (coefficients @ basis.skin.flatten(0, 1).T).reshape(len(coefficients), count, 3)


def eye_points(basis: PointBasis, coefficients: Tensor, gaze: Tensor) -> EyePoints:
    """Points on the eyeballs turn rigidly about their joint: x = c + G(y − c), y and c linear in (1, β, φ)."""
    rotation, derivative = gaze_rotation(gaze.reshape(-1, 2, 2))
    rotation, derivative = rotation[:, basis.eye_side], derivative[:, basis.eye_side]
    joint = basis.eye_joint[basis.eye_side]  # (Ne,3,K)
    columns = joint + rotation @ (basis.eye - joint)
    arm = torch.einsum("nak,tk->tna", basis.eye - joint, coefficients)
    return EyePoints(
        position=torch.einsum("tnak,tk->tna", columns, coefficients),
        columns=columns,
        turned=torch.einsum("tngab,tnb->tnga", derivative, arm),
    )


def head_points(basis: PointBasis, coefficients: Tensor, gaze: Tensor) -> Tensor:
    """Head-space positions (T,N,3) of all observed points, in the order of the point set."""
    order = torch.cat([basis.skin_index, basis.eye_index]).argsort()
    parts = [skin_points(basis, coefficients), eye_points(basis, coefficients, gaze).position]
    return torch.cat(parts, dim=1)[:, order]
