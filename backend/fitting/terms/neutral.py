"""Frames in which the face is at rest: their expressions stay near zero, so that the identity explains them."""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State


@dataclass(frozen=True, eq=False)
class NeutralFrames:
    """½ Σ_t w_t Σ_k m_k φ_k²: expressions of neutral frames are zero.

    ``weight (T,)`` is 0 in frames that are not known to be neutral; ``held (K_ex,)`` is 0 for what a face at rest may
    do: look somewhere, and close its lids.
    """

    weight: Tensor
    held: Tensor

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return 0.5 * (self.weight * (state.expression.square() @ self.held)).sum()

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        pull = self.weight[:, None] * self.held
        index = torch.arange(pull.shape[1], device=pull.device)
        equations.frame_gradient[:, index] += pull * state.expression
        equations.frame[:, index, index] += pull

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: the neutral frames."""
        return (self.weight > 0).cpu()
