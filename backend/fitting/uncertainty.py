"""The uncertainty of a fit's unknowns: the posterior's covariance, from the solver's own factorisation.

The energy counts every landmark of every frame as a measurement of its own. Landmark errors are mostly systematic,
though: the same points are off in the same way in frame after frame (``EnergyWeights.repeated_bias``), and neighbouring
points in the same direction. For the minimum that hardly matters; the inverse of the energy's Hessian, taken as it is,
would be overconfident by an order of magnitude. So the covariance is that of the same energy with evidence counted
once (each rule is to the power of ``repeated_bias``, and gone where that is 0):

1. What frames share is learnt from T frames that repeat one error: its covariance is T times the inverse's. (The
   energy's priors on it already count T times, for the same reason.)
2. E_temp counts once per point, so that smoothing would average repeated errors away as if they were noise. Here it
   counts once: the face moves as one.
3. All of it times ``weights.identity``: β is standard normal by the making of the identity basis, so a weight of 3 on
   |β|² says that three observations, whose neighbours share their error, tell as much as one.

Measured on rendered clips, whose truth is known: see ``tests/backend/fitting/test_uncertainty.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.fitting.normal_equations import Factorisation, NormalEquations, factorise
from backend.fitting.point_basis import PointBasis
from backend.fitting.prepare import Take
from backend.fitting.problem import Problem
from backend.fitting.solver.coarse_to_fine import lightened
from backend.fitting.solver.covariance import Covariance, covariance
from backend.fitting.solver.levenberg_marquardt import Stage, at_bounds, free_unknowns
from backend.fitting.state import State
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import EnergyWeights
from backend.fitting.windows import KEY_FRAMES, LENGTH, LOOKAHEAD, WHOLE, frames_of, key_frames
from backend.memory import at_once

# Keeps the matrix positive definite where nothing at all is known of a frame (its σ then is huge, which is true).
DAMPING = 1e-10

PER_FRAME = ("expression", "rotation", "translation", "gaze", "vertex_mm")


@dataclass(frozen=True, eq=False)
class FitUncertainty:
    """One standard deviation of what a fit found; 0 for what was given, or sits on a bound that it pushes against.

    ``expression (T,K_ex)``; ``rotation (T,3)`` radians about the head's own axes; ``translation (T,3)`` metres along
    the world's axes; ``gaze (T,4)`` radians; ``identity (K_id,)``; ``cameras (U,)`` in ``CameraUnknowns``' order.
    ``vertex_mm (T,)``: RMS over the face's vertices of their position's σ in head space, from identity and expression
    together (vertices weighted as in ``PointBasis.face_gram``: lids and lips count less).
    """

    expression: Tensor
    rotation: Tensor
    translation: Tensor
    gaze: Tensor
    identity: Tensor
    cameras: Tensor
    vertex_mm: Tensor


@dataclass(frozen=True)
class Evidence:
    """The counts of a problem's evidence: see the module's text; all 1 takes the Hessian at its word."""

    repeats: float = 1.0
    temporal: float = 1.0
    temperature: float = 1.0

    @classmethod
    def of(cls, weights: EnergyWeights, frames_seen: int, points: int) -> Evidence:
        """The evidence by ``weights`` of a take in which ``frames_seen`` frames show ``points`` points."""
        bias = weights.repeated_bias
        return cls(
            repeats=max(1.0, bias * frames_seen),
            temporal=float(points) ** bias,
            temperature=max(weights.identity, 1.0) ** bias,
        )


def posterior(
    problem: Problem, state: State, stage: Stage, evidence: Evidence, shared: Tensor | None = None
) -> Covariance:
    """Covariance of all unknowns at a minimum; frozen ones have zeros.

    ``shared (S,S)`` is the shared unknowns' covariance where they were solved elsewhere (and ``evidence`` applied).
    Raises ``torch.linalg.LinAlgError`` where the matrix is not positive definite for all that.
    """
    frame_free, shared_free = free_unknowns(problem, state, stage)
    count = problem.basis.expression_count
    kept = 1.0 / evidence.temporal
    temporal = problem.term(TemporalTerm)
    # Single precision may cost a matrix its definiteness when nothing damps it.
    exact = replace(problem.basis, skin_single=problem.basis.skin)
    # Bounds are the energy's own affair: which of them hold is told by its gradient, not by the loosened one's.
    rest = _gradient(problem, temporal.scaled(1.0 - kept), state)
    equations = replace(problem.with_term(temporal.scaled(kept)), basis=exact).linearise(state)
    frame_free[:, :count] &= ~at_bounds(problem, state, equations.frame_gradient + rest)
    factorisation = _factors(equations, frame_free, shared_free)
    del equations  # as large as the factors, and nothing of them is needed any more
    given = None if shared is None else shared / evidence.temperature
    found = covariance(factorisation, given, evidence.repeats if shared is None else 1.0)
    return Covariance(*(evidence.temperature * block for block in (found.shared, found.frame, found.cross)))


def _gradient(problem: Problem, temporal: TemporalTerm, state: State) -> Tensor:
    """(T,F) the gradient of E_temp alone; the equations that it comes with are let go of."""
    equations = problem.equations(state)
    temporal.add(equations, problem.basis, state)
    return equations.frame_gradient


def _factors(equations: NormalEquations, free: Tensor, shared_free: Tensor) -> Factorisation:
    """Factors with the least damping that rounding allows; more of it makes σ smaller by half as much, relatively."""
    for damping in (DAMPING, 1e3 * DAMPING):
        try:
            return factorise(equations, free, shared_free, damping)
        except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
            continue
    return factorise(equations, free, shared_free, 1e6 * DAMPING)


def fit_uncertainty(basis: PointBasis, state: State, found: Covariance) -> FitUncertainty:
    """One standard deviation of everything, from the posterior's blocks."""
    expressions, shapes = basis.expression_count, basis.identity_count
    parts = found.frame.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
    moved = slice(expressions + 3, expressions + 6)
    world = state.rotation @ found.frame[:, moved, moved] @ state.rotation.mT
    shared = found.shared.diagonal().clamp_min(0).sqrt()
    return FitUncertainty(
        expression=parts[:, :expressions],
        rotation=parts[:, expressions : expressions + 3],
        translation=world.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt(),
        gaze=parts[:, expressions + 6 :],
        identity=shared[:shapes],
        cameras=shared[shapes:],
        vertex_mm=1000.0 * _vertex_variance(basis, found).clamp_min(0).sqrt(),
    )


def _vertex_variance(basis: PointBasis, found: Covariance) -> Tensor:
    """(T,) trace(G Σ), m²: G is the face's Gram matrix over (β, φ), Σ their covariance."""
    shapes = basis.identity_count
    expression = slice(0, basis.expression_count)
    gram = torch.einsum("aakl->kl", basis.face_gram)[1:, 1:]
    shape = (gram[:shapes, :shapes] * found.shared[:shapes, :shapes]).sum()
    across = torch.einsum("ks,tks->t", gram[shapes:, :shapes], found.cross[:, expression, :shapes])
    own = torch.einsum("kl,tkl->t", gram[shapes:, shapes:], found.frame[:, expression, expression])
    return shape + 2 * across + own


def take_uncertainty(take: Take, state: State, stage: Stage, *, length: int = WHOLE) -> FitUncertainty:
    """A take's uncertainty; takes of more than ``length`` frames by frame ranges, as their fit went by windows."""
    weights, points = take.options.weights, take.points.count
    frames = state.frame_count
    if frames <= at_once(length):
        evidence = Evidence.of(weights, int(take.found.sum()), points)
        return fit_uncertainty(take.basis, state, posterior(lightened(take.problem()), state, stage, evidence))
    keys = key_frames(take, KEY_FRAMES)
    evidence = Evidence.of(weights, len(keys), points)
    shared = posterior(lightened(take.problem(keys)), frames_of(state, keys), stage.at(keys), evidence).shared
    parts = []
    for span, kept in spans(frames, at_once(min(length, LENGTH)), LOOKAHEAD):
        index = np.arange(span.start, span.stop)
        part = frames_of(state, index)
        found = posterior(lightened(take.problem(index)), part, stage.at(index), evidence, shared)
        parts.append(_frames(fit_uncertainty(take.basis, part, found), kept))
    per_frame = {name: torch.cat([getattr(p, name) for p in parts]) for name in PER_FRAME}
    return replace(parts[0], **per_frame)


def unknown_uncertainty(state: State) -> FitUncertainty:
    """NaN throughout, of a fit whose uncertainty nobody asked for; identity's and cameras' are left out (0,)."""
    unknown = state.gaze.new_full((state.frame_count,), torch.nan)
    return FitUncertainty(
        expression=unknown[:, None].expand(state.expression.shape),
        rotation=unknown[:, None].expand(-1, 3),
        translation=unknown[:, None].expand(-1, 3),
        gaze=unknown[:, None].expand(-1, 4),
        identity=unknown[:0],
        cameras=unknown[:0],
        vertex_mm=unknown,
    )


def _frames(spread: FitUncertainty, kept: slice) -> FitUncertainty:
    return replace(spread, **{name: getattr(spread, name)[kept] for name in PER_FRAME})


def spans(frames: int, length: int, margin: int) -> Iterator[tuple[slice, slice]]:
    """Frame ranges of at most ``length`` frames with ``margin`` more on either side, and which of those to keep.

    With E_temp counted once, frames further than a few apart do not inform each other.
    """
    for start in range(0, frames, length):
        stop = min(start + length, frames)
        first, last = max(0, start - margin), min(frames, stop + margin)
        yield slice(first, last), slice(start - first, stop - first)
