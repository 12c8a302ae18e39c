"""E_pairs (seeds/004 §6.1): differences of two points, which an aligner tells better than either of them.

Points of one region err together: both lips by as much as the whole mouth is off. Their difference, which is what opens
a mouth or closes a lid, errs less than two points that err each for itself, as E_A takes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from backend.fitting.cameras import CameraUnknowns
from backend.fitting.normal_equations import NormalEquations
from backend.fitting.point_basis import PointBasis
from backend.fitting.state import State
from backend.fitting.terms.rows import Rows, SkinPoints, add_rows, robust_energy, seen_skin


@dataclass(frozen=True, eq=False)
class PairsTerm:
    """Σ ½ c² log(1 + |r|²/(σ² c²)), r = (x_a − x_b) − (μ_a − μ_b), over P pairs in C views' pictures.

    ``first``, ``second`` are the P points x_a and x_b; ``difference (C,T,P,2)`` pixels = μ_a − μ_b; ``precision
    (C,T,P)`` = 1/σ² of what a pair tells beyond its two points (``PairTable``), 0 where either is not seen.
    """

    first: SkinPoints
    second: SkinPoints
    difference: Tensor
    precision: Tensor
    robust_scale: float
    unknowns: CameraUnknowns

    def energy(self, basis: PointBasis, state: State) -> Tensor:  # noqa: ARG002 - its points bring their columns
        """See ``Term``."""
        return robust_energy(self.residuals, self.precision, self.robust_scale, state)

    def residuals(self, state: State, view: int, frames: slice) -> Tensor:
        """Projected minus observed differences (t,P,2) in pixels of one view."""
        coefficients = state.coefficients()[frames]
        a, b = (
            seen_skin(points.positions(coefficients), state, frames, view, None) for points in (self.first, self.second)
        )
        return a.image - b.image - self.difference[view, frames]

    def add(self, equations: NormalEquations, basis: PointBasis, state: State) -> None:
        """See ``Term``; the robust kernel by iteratively reweighted least squares."""
        add_rows(equations, basis, state, self.precision, lambda frames: self._rows_of(state, frames))

    def _rows_of(self, state: State, frames: slice) -> Iterator[Rows]:
        coefficients = state.coefficients()[frames]
        heads = [points.positions(coefficients) for points in (self.first, self.second)]
        moves = [self.first.by_unknowns(heads[0]), self.second.by_unknowns(heads[1])]
        for view in range(len(state.cameras)):
            yield self._rows(heads, moves, state, frames, view)

    def _rows(self, heads: list[Tensor], moves: list[Tensor], state: State, frames: slice, view: int) -> Rows:
        a, b = (seen_skin(head, state, frames, view, self.unknowns) for head in heads)
        residual = a.image - b.image - self.difference[view, frames]
        precision = self.precision[view, frames].to(residual.dtype)
        weight = precision / (1 + residual.square().sum(-1) * precision / self.robust_scale**2)
        camera = None
        if a.camera is not None and b.camera is not None:
            camera = (a.camera - b.camera).flatten(1, 2)
        return Rows(
            jacobian=(a.jacobian @ moves[0] - b.jacobian @ moves[1]).flatten(1, 2),
            camera=camera,
            columns=self.unknowns.columns(view),
            pull=(weight[..., None] * residual).flatten(1),
            curvature=weight.repeat_interleave(2, dim=1),
        )

    def speaks_in(self, frames: int) -> Tensor:  # noqa: ARG002 - it knows its own
        """See ``Term``: where any view shows both points of a pair."""
        return (self.precision > 0).any(dim=0).any(dim=-1).cpu()
