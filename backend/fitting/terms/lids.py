"""Lids that are seen to close."""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State


@dataclass(frozen=True, eq=False)
class LidClosure:
    """½ w (closure − told)² for each eye whose lids the aligner saw closed, or on the way there.

    ``closure (2,K_ex)`` gives how far an expression closes the lids: 0 as in the neutral, 1 as in a full blink.
    ``told (T,2)`` in 0…1; ``weight (T,2)`` is 0 where nobody saw that eye.
    """

    closure: Tensor
    told: Tensor
    weight: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return 0.5 * (self.weight * (state.expression @ self.closure.T - self.told).square()).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        count = self.closure.shape[1]
        pull = self.weight * (state.expression @ self.closure.T - self.told)
        equations.frame_gradient[:, :count] += pull @ self.closure
        equations.frame[:, :count, :count] += torch.einsum("ts,si,sj->tij", self.weight, self.closure, self.closure)

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where an eye is seen closing."""
        return (self.weight > 0).any(dim=1).cpu()
