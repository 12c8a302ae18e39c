"""Somebody else's word on how strongly each action shows: a robust pull of the actions to what a network told."""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State


@dataclass(frozen=True, eq=False)
class WitnessTerm:
    """Σ ½ c² log(1 + (φ − target)²/(σ² c²)): ½ (φ − target)²/σ² that fades where the witness is far from the picture.

    ``target (T,K_ex)``, ``precision (T,K_ex)`` = 1/σ², 0 where nothing is told, which is where the target does not
    matter; ``robust_scale`` c in σ.
    """

    target: Tensor
    precision: Tensor
    robust_scale: float

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        squared = (state.expression - self.target).square() * self.precision
        return 0.5 * self.robust_scale**2 * torch.log1p(squared / self.robust_scale**2).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``: the Gauss–Newton block is that of reweighted least squares."""
        off = state.expression - self.target
        weight = self.precision / (1 + off.square() * self.precision / self.robust_scale**2)
        diagonal = torch.arange(basis.expression_count, device=off.device)
        equations.frame[:, diagonal, diagonal] += weight
        equations.frame_gradient[:, : basis.expression_count] += weight * off

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where anything is told."""
        return (self.precision > 0).any(dim=1).cpu()
