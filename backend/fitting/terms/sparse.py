"""An action is on because the picture says so: opposites do not fight, and what adds nothing is off.

Both terms are about actions that are bounded below by 0, as ARKit's are.
"""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State


@dataclass(frozen=True, eq=False)
class SparseActions:
    """Σ w·φ, which for actions of at least 0 is the absolute value: small mixtures go to 0, strong actions stay.

    A quadratic prior prefers many actions that are a little on to one that is fully on; this one does not care how an
    amount is divided, and leaves off what the points do not ask for. ``weight (T,K_ex)``.
    """

    weight: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return (self.weight * state.expression).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; it has no curvature."""
        equations.frame_gradient[:, : basis.expression_count] += self.weight

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``."""
        return (self.weight > 0).any(dim=1).cpu()


@dataclass(frozen=True, eq=False)
class OpposedActions:
    """Σ w φ_a φ_b over pairs that cannot act at once: each pulls the other to 0 by as much as it is on.

    ``first`` and ``second (P,)`` are the pairs among the expressions, ``weight (T,)``. φ_a φ_b = ½(φ_a + φ_b)² − ½φ_a²
    − ½φ_b² is not convex; the curvature added is that of its convex part, so that steps still go down.
    """

    first: Tensor
    second: Tensor
    weight: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        both = state.expression[:, self.first] * state.expression[:, self.second]
        return (self.weight[:, None] * both).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        weight = self.weight[:, None]
        for one, other in ((self.first, self.second), (self.second, self.first)):
            equations.frame_gradient.index_add_(1, one, weight * state.expression[:, other])
            equations.frame[:, one, one] += weight
            equations.frame[:, one, other] += weight

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``."""
        return (self.weight > 0).cpu()
