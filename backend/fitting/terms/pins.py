"""Pins: surface points that somebody put where they are in the picture."""

# ruff: noqa: ARG002 - a term need not look at all that the contract offers

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State
from backend.fitting.terms.points import PointsTerm

NEVER_FADES = 1e6
"""σ from which a pin's pull would fade: a point that an aligner saw far away is wrong, a pin is what was meant."""


@dataclass(frozen=True, eq=False)
class PinsTerm:
    """½ Σ |r|²/σ² over pins: E_A's points without its robust kernel, on a basis of their own.

    ``own`` is the basis at the P pinned points, of the same unknowns as the problem's; ``points`` holds where they were
    put, ``mu (C,T,P,2)`` and ``precision (C,T,P)``, 0 where a point is not pinned.
    """

    own: PointBasis
    points: PointsTerm

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """See ``Term``."""
        return self.points.energy(self.own, state)

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``."""
        self.points.add(equations, self.own, state)

    def speaks_in(self, frames: int) -> Tensor:
        """See ``Term``: where anything is pinned."""
        return self.points.speaks_in(frames)

    def miss(self, state: State, view: int) -> Tensor:
        """(T,P) pixels between the points and where they were put in a view; of no meaning where nothing is pinned."""
        return torch.as_tensor(self.points.residuals(self.own, state, view).norm(dim=-1))
