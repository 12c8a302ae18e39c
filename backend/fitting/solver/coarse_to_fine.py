"""Dense alignments first by a few of their points: most of the way to the minimum costs a tenth; the end is exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from backend.fitting.point_basis import PointBasis
from backend.fitting.problem import Problem
from backend.fitting.solver.levenberg_marquardt import Minimum, Stage, minimise
from backend.fitting.state import State
from backend.fitting.terms.points import PointsTerm

# As many points as MediaPipe's, which tell every unknown; a stride over a mesh's vertices spreads over its surface.
COARSE_POINTS = 500
# Fewer times as many points than this and the second solve costs more than the first one saves.
WORTH_IT = 4
# Near the minimum steps may be as long as the kernel's own curvature says (``PointsTerm.least_curvature``), up to twice
# the reweighted ones, which still go down.
NEAR = 0.5


def thinned_basis(basis: PointBasis, stride: int) -> tuple[PointBasis, Tensor]:
    """Every ``stride``-th point that deforms and that turns with an eye, and which of the N points they are (n,)."""
    skin, eye = basis.skin_index[::stride].contiguous(), basis.eye_index[::stride].contiguous()
    kept = torch.cat([skin, eye]).sort().values
    return (
        replace(
            basis,
            skin_index=torch.searchsorted(kept, skin),
            skin=basis.skin[::stride].contiguous(),
            skin_single=basis.skin_single[::stride].contiguous(),
            eye_index=torch.searchsorted(kept, eye),
            eye_side=basis.eye_side[::stride],
            eye=basis.eye[::stride].contiguous(),
        ),
        kept,
    )


def thinned(problem: Problem, stride: int) -> Problem:
    """The same energy with every ``stride``-th point, each of which counts ``stride`` times."""
    basis, kept = thinned_basis(problem.basis, stride)
    return replace(problem.with_term(problem.term(PointsTerm).thinned(kept)), basis=basis)


def lightened(problem: Problem) -> Problem:
    """The problem, or the same energy with fewer points where it has very many."""
    stride = problem.term(PointsTerm).precision.shape[2] // COARSE_POINTS
    return thinned(problem, stride) if stride >= WORTH_IT else problem


def minimise_coarse_to_fine(
    problem: Problem,
    state: State,
    stage: Stage,
    *,
    on_iteration: Callable[[int, float], None] | None = None,
) -> Minimum:
    """As ``minimise``; a problem of many points starts from the minimum of the same one with few.

    Energies are those of the whole problem; iterations count both.
    """
    fewer = lightened(problem)
    if fewer is problem:
        return minimise(problem, state, stage, on_iteration=on_iteration)
    coarse = minimise(fewer, state, stage, on_iteration=on_iteration)

    def further(iteration: int, energy: float) -> None:
        if on_iteration is not None:
            on_iteration(coarse.iterations + iteration, energy)

    near = problem.with_term(replace(problem.term(PointsTerm), least_curvature=NEAR))
    fine = minimise(near, coarse.state, stage, on_iteration=further)
    return replace(fine, iterations=coarse.iterations + fine.iterations)
