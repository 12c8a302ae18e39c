"""What E_temp adds where nothing is seen: motion dies away, so that a long gap holds or glides and never overshoots.

Acceleration alone bridges a gap by a cubic, which carries the slopes at its ends on however long it is. With velocity
beside it the bridge is a spline under tension (Schweikert 1966): over times longer than E_temp's precision over
velocity's has it, it is a straight line between what was seen before and after.
"""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State


@dataclass(frozen=True, eq=False)
class Glide:
    """½ Σ_t (w_t Δφᵀ form Δφ + Σ_eye v_t,eye |Δgaze|²), Δ from each frame to the next.

    ``form (K_ex,K_ex)``; ``expression (T-1,)`` and ``gaze (T-1,2)`` are 0 where both frames show what is meant. Head
    poses have no such prior: heads go on turning.
    """

    form: Tensor
    expression: Tensor
    gaze: Tensor

    @classmethod
    def between(cls, form: Tensor, gaze: float, intervals: Tensor, seen: Tensor, eyes: Tensor) -> Glide:
        """Of precisions of velocities: ``form`` of φ's and ``gaze`` (per rad²), each over one mean frame interval.

        ``intervals (T-1,)`` between frames in units of that; ``seen (T,)`` and ``eyes (T,2)`` (left, right) are bool:
        frames that show the face, and an eye's iris.
        """
        unseen = ~(seen[1:] & seen[:-1])
        blind = ~(eyes[1:] & eyes[:-1])
        return cls(form, unseen / intervals, gaze * blind / intervals[:, None])

    def scaled(self, factor: float) -> Glide:
        """The same term ``factor`` times."""
        return replace(self, form=self.form * factor, gaze=self.gaze * factor)

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        moved, turned = state.expression.diff(dim=0), _by_eye(state.gaze).diff(dim=0)
        own = torch.einsum("t,ti,ij,tj->", self.expression, moved, self.form, moved)
        return 0.5 * (own + (self.gaze[..., None] * turned.square()).sum())

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; the Gauss–Newton blocks are exact."""
        count = basis.expression_count
        at = self.expression.nonzero()[:, 0]
        pull = self.expression[at, None] * (state.expression[at + 1] - state.expression[at]) @ self.form
        block = self.expression[at, None, None] * self.form
        for frames, sign in ((at, -1.0), (at + 1, 1.0)):
            equations.frame_gradient[frames, :count] += sign * pull
            equations.frame[frames, :count, :count] += block
        equations.next_frame[at, :count, :count] -= block
        angles = torch.arange(count + POSE_UNKNOWNS, count + POSE_UNKNOWNS + 4, device=at.device)
        weight = self.gaze.repeat_interleave(2, dim=1)
        turn = weight * state.gaze.diff(dim=0)
        for first, last, sign in ((0, -1, -1.0), (1, None, 1.0)):
            equations.frame_gradient[first:last, angles] += sign * turn
            equations.frame[first:last, angles, angles] += weight
        equations.next_frame[:, angles, angles] -= weight

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: on both sides of every step on which either frame does not show all."""
        steps = ((self.expression > 0) | (self.gaze > 0).any(dim=1)).cpu()
        return torch.nn.functional.pad(steps, (1, 0)) | torch.nn.functional.pad(steps, (0, 1))


def _by_eye(gaze: Tensor) -> Tensor:
    """(T,2,2): (left, right) × (yaw, pitch)."""
    return gaze.reshape(-1, 2, 2)
