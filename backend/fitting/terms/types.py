"""The contract of a term of the energy."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State


class Term(Protocol):
    """One summand of the energy over T frames.

    ``basis`` is the problem's, the same for all terms; ``state`` the unknowns. A term's weights are its own.
    """

    def energy(self, basis: PointBasis, state: State) -> Tensor:
        """Its energy, a scalar that autograd can differentiate; dimensionless."""
        ...

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """Add its gradient and its Gauss–Newton blocks to ``equations``."""
        ...

    def speaks_in(self, frames: int) -> Tensor:
        """(T,) bool on the CPU: the frames about whose own unknowns it says anything, of ``frames`` in all."""
        ...
