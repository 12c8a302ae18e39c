"""A fit's uncertainty against the errors that it makes, where the truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.fitting.fit import fit_take
from backend.fitting.prepare import prepare
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import EnergyWeights, FitOptions, View
from backend.fitting.uncertainty import DAMPING, Evidence, FitUncertainty, fit_uncertainty, posterior, spans
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices
from backend.synthesis.performance import demo_performance
from tests.backend.fitting.observed import observed
from tests.backend.fitting.terms.test_derivatives import make_problem

NOISE_PX = 1.0
FRAMES = 40
COMPONENTS = 40


def test_every_block_equals_the_dense_inverses_on_a_real_problem() -> None:
    problem, state = make_problem(frames=5)
    everything = Stage(tolerance=1e-12, max_iterations=60)
    state = minimise(problem, state, everything).state
    found = posterior(problem, state, everything, Evidence(repeats=5.0, temporal=7.0, temperature=3.0))
    spread = fit_uncertainty(problem.basis, state, found)
    frozen = (found.frame.diagonal(dim1=1, dim2=2) == 0).flatten()
    at_bound = (state.expression <= problem.basis.lower) | (state.expression >= problem.basis.upper)
    assert frozen.any() and not frozen.all()
    assert (at_bound | ~frozen.reshape(5, -1)[:, : problem.basis.expression_count]).all()
    loosened = problem.term(TemporalTerm).scaled(1.0 / 7.0)
    matrix, _ = problem.with_term(loosened).linearise(state).dense()
    matrix = matrix + DAMPING * torch.diag(matrix.diagonal() + 1e-9)
    size = len(found.shared)
    keep = torch.cat([torch.ones(size, dtype=torch.bool), ~frozen])
    inverse = torch.linalg.inv(matrix[keep][:, keep])
    shared = 3.0 * 5.0 * inverse[:size, :size]
    assert (found.shared - shared).abs().max() < 1e-8 * shared.abs().max()
    # The dense marginal of the frames, with the shared unknowns' covariance counted five times.
    band = torch.linalg.inv(matrix[keep][:, keep][size:, size:])
    answer = band @ matrix[keep][:, keep][size:, :size]
    marginal = 3.0 * band + answer @ shared @ answer.T
    own = found.frame.diagonal(dim1=1, dim2=2).flatten()[~frozen]
    assert torch.allclose(own, marginal.diagonal(), rtol=1e-7)
    assert (spread.vertex_mm > 0).all()


@dataclass(frozen=True, eq=False)
class Errors:
    """The errors of a fit, (T,…) each, and what it thought they might be."""

    expression: NDArray[np.float64]
    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    vertex_mm: NDArray[np.float64]
    said: FitUncertainty


def fitted_errors(head: HeadModel, seed: int, repeated: bool) -> Errors:
    """Fit a person drawn from the prior, seen with noise that is the same in every frame, or new in each."""
    truth = demo_performance(head, seed=seed, frame_count=FRAMES)
    truth.identity[COMPONENTS:] = 0
    rng = np.random.default_rng(seed)
    noise = rng.normal(
        scale=NOISE_PX, size=(1 if repeated else FRAMES, len(head.landmarks["mediapipe478"].triangle), 2)
    )
    weights = EnergyWeights(repeated_bias=float(repeated), identity=1.0)
    options = FitOptions(weights=weights, identity_components=COMPONENTS, device="cpu")
    take = prepare(head, [View(observed(head, truth, noise, NOISE_PX))], options)
    problem = take.problem()
    everything = Stage(tolerance=1e-6)
    state = minimise(problem, take.start, everything).state
    evidence = Evidence.of(weights, FRAMES, noise.shape[1])
    said = fit_uncertainty(take.basis, state, posterior(problem, state, everything, evidence))
    rotation = Rotation.from_rotvec(truth.head_rotation).inv() * Rotation.from_matrix(state.rotation.numpy())
    identity = np.zeros(len(head.shape_basis))
    identity[:COMPONENTS] = state.identity.numpy()
    still = np.zeros_like(truth.gaze)
    face = head.vertex_weight > 0.5
    found = posed_vertices(head, head.neutral(identity), state.expression.numpy(), still)[:, face]
    true = posed_vertices(head, head.neutral(truth.identity), truth.expression, still)[:, face]
    return Errors(
        expression=state.expression.numpy() - truth.expression,
        rotation=rotation.as_rotvec(),
        translation=state.translation.numpy() + take.origin - truth.head_translation,
        vertex_mm=1000 * np.sqrt(np.square(found - true).sum(-1).mean(1)),
        said=said,
    )


def rms(values: list[NDArray[np.float64]]) -> float:
    return float(np.sqrt(np.mean(np.square(np.concatenate([v.ravel() for v in values])))))


@pytest.mark.slow
@pytest.mark.parametrize("repeated", [False, True])
def test_errors_are_as_large_as_they_are_said_to_be(repeated: bool) -> None:
    head = load_head("open")
    runs = [fitted_errors(head, seed, repeated) for seed in (1, 2, 3)]
    ratios = {
        name: rms([getattr(run, name) for run in runs]) / rms([getattr(run.said, name).numpy() for run in runs])
        for name in ("expression", "rotation", "translation", "vertex_mm")
    }
    # Depth answers to focal length, which three people sample three times; noise that never repeats leaves the priors'
    # own pull as what repeats, which no covariance knows of.
    assert 0.3 < ratios.pop("translation") < 3.0
    assert all(0.5 < ratio < 2.0 for ratio in ratios.values()), ratios


def test_frame_ranges_cover_every_frame_once() -> None:
    kept = [f for span, inner in spans(23, 10, 3) for f in range(span.start, span.stop)[inner]]
    assert kept == list(range(23))


def test_a_fit_tells_its_uncertainty_where_it_saw_something() -> None:
    head = load_head("open")
    truth = demo_performance(head, frame_count=8)
    seen = observed(head, truth, np.random.default_rng(0).normal(scale=NOISE_PX, size=(8, 478, 2)), NOISE_PX)
    seen.valid[:2] = seen.valid[5] = False
    fit = fit_take(head, [View(seen)], FitOptions(identity_components=20, device="cpu"))
    assert fit.expression_sigma.shape == fit.expression.shape
    assert fit.head_rotation_sigma.shape == fit.head_translation_sigma.shape == (8, 3)
    assert np.isnan(fit.uncertainty_mm[:2]).all() and np.isfinite(fit.uncertainty_mm[2:]).all()
    # A bridged frame knows less of its pose than its neighbours; depth is what one view tells least.
    turn = np.linalg.norm(fit.head_rotation_sigma, axis=1)
    assert turn[5] > 1.5 * max(turn[4], turn[6])
    assert fit.head_translation_sigma[4].argmax() == 2
