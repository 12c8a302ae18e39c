"""A straight slope added to an energy, by which a given state is its minimum."""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.geometry import skew
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import POSE_UNKNOWNS, State


@dataclass(frozen=True, eq=False)
class SettledTerm:
    """−gradient · (x − start): what it is added to has no slope at ``start`` any more, and curves as it did.

    ``gradient (T,F)`` by the frames' unknowns in ``NormalEquations``' order; 0 where the slope is to stay. A turn
    counts by the sine of its angle.
    """

    start: State
    gradient: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        expression, turn, shift, gaze = self._parts(basis)
        relative = self.start.rotation.mT @ state.rotation
        moved = (self.start.rotation.mT @ (state.translation - self.start.translation)[..., None])[..., 0]
        total = (expression * (state.expression - self.start.expression)).sum()
        total = total + (gaze * (state.gaze - self.start.gaze)).sum() + (shift * moved).sum()
        return 0.5 * torch.einsum("tab,tba->", skew(turn), relative) - total

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; it has no curvature."""
        expression, turn, shift, gaze = self._parts(basis)
        axes = skew(torch.eye(3, dtype=turn.dtype, device=turn.device))
        relative = self.start.rotation.mT @ state.rotation
        by_turn = -0.5 * torch.einsum("tab,tbc,jca->tj", skew(turn), relative, axes)
        by_shift = (shift[:, None] @ relative)[:, 0]
        equations.frame_gradient.sub_(torch.cat([expression, by_turn, by_shift, gaze], dim=1))

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where there was a slope."""
        return (self.gradient != 0).any(dim=1).cpu()

    def _parts(self, basis: PointBasis) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count = basis.expression_count
        parts = self.gradient.tensor_split((count, count + 3, count + POSE_UNKNOWNS), dim=1)
        return parts[0], parts[1], parts[2], parts[3]
