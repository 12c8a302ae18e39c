"""An action is on because the picture says so: opposites do not fight, and what adds nothing is off.

Both terms are about actions that are bounded below by 0, as ARKit's are.
"""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State


@dataclass(frozen=True, eq=False)
class SparseActions:
    """Σ w k log(1 + φ/k): what the picture does not ask for is off, and what is on is hardly held back.

    A quadratic prior prefers many actions that are a little on to one that is fully on; this one pulls by w at 0 and by
    w/(1 + φ/k) at φ. ``weight (T,K_ex)``, ``knee`` k.
    """

    weight: Tensor
    knee: float

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return (self.weight * self.knee * torch.log1p(state.expression / self.knee)).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; it curves downwards, and the straight line that lies above it has no curvature."""
        pull = self.weight / (1 + state.expression / self.knee)
        equations.frame_gradient[:, : basis.expression_count] += pull

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``."""
        return (self.weight > 0).any(dim=1).cpu()


@dataclass(frozen=True, eq=False)
class OpposedActions:
    """Σ w φ_a φ_b over pairs that cannot act at once: each pulls the other to 0 by as much as it is on.

    ``pairs (K_ex,K_ex)`` is symmetric, 1 where two oppose each other and 0 elsewhere, ``weight (T,)``. φ_a φ_b =
    ½(φ_a + φ_b)² − ½φ_a² − ½φ_b² is not convex; the curvature added is that of its convex part, so that steps go down.
    """

    pairs: Tensor
    weight: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return 0.5 * (self.weight[:, None] * state.expression * (state.expression @ self.pairs)).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        count = basis.expression_count
        equations.frame_gradient[:, :count] += self.weight[:, None] * (state.expression @ self.pairs)
        convex = self.pairs + torch.diag(self.pairs.sum(dim=0))
        equations.frame[:, :count, :count] += self.weight[:, None, None] * convex

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``."""
        return (self.weight > 0).cpu()
