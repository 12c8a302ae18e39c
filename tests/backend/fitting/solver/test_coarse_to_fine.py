"""Dense alignments by a few of their points first: the same energy, and the same end."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.fitting import FitOptions
from backend.fitting.prepare import Take, prepare
from backend.fitting.solver.coarse_to_fine import COARSE_POINTS, lightened, minimise_coarse_to_fine, thinned
from backend.fitting.solver.levenberg_marquardt import Stage, minimise
from backend.fitting.terms.points import PointsTerm
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.synthesis.alignments import EVERY_VERTEX, dense_views, with_every_vertex
from tests.backend.fitting.terms.test_derivatives import make_problem


@pytest.fixture(scope="module")
def take() -> Take:
    head = with_every_vertex(load_head("open"))
    return prepare(head, dense_views(head, 6, 2), FitOptions(identity_components=20, device="cpu"))


def test_every_vertex_is_where_its_vertex_is() -> None:
    head = with_every_vertex(load_head("open"))
    assert np.array_equal(surface_positions(head.landmarks[EVERY_VERTEX], head.triangles, head.template), head.template)


def test_a_stride_of_one_changes_nothing() -> None:
    problem, state = make_problem()
    assert thinned(problem, 1).energy(state) == pytest.approx(problem.energy(state), rel=1e-12)


def test_thinned_points_keep_their_own_observations_and_count_for_those_left_out() -> None:
    problem, _ = make_problem()
    keep = slice(None, None, 2)
    half = thinned(problem, 2)
    points = problem.term(PointsTerm).precision.shape[2]
    assert half.term(PointsTerm).weight == pytest.approx(points / half.term(PointsTerm).mu.shape[2])
    kept = torch.cat([problem.basis.skin_index[keep], problem.basis.eye_index[keep]]).sort().values
    assert torch.equal(half.term(PointsTerm).mu, problem.term(PointsTerm).mu[:, :, kept])
    # A point in the thinned basis is the point of the whole one that was observed in its place.
    whole = torch.cat([problem.basis.skin, problem.basis.eye])[
        torch.cat([problem.basis.skin_index, problem.basis.eye_index]).argsort()
    ]
    fewer = torch.cat([half.basis.skin, half.basis.eye])[
        torch.cat([half.basis.skin_index, half.basis.eye_index]).argsort()
    ]
    assert torch.equal(fewer, whole[kept])


def test_few_points_are_left_alone_and_many_become_about_as_many_as_told(take: Take) -> None:
    problem, _ = make_problem()
    assert lightened(problem) is problem
    light = lightened(take.problem())
    assert COARSE_POINTS <= light.term(PointsTerm).mu.shape[2] < 1.2 * COARSE_POINTS


@pytest.mark.slow
def test_dense_fits_end_where_they_would_have_ended(take: Take) -> None:
    problem = take.problem()
    heard: list[int] = []
    stage = Stage(tolerance=1e-5)
    found = minimise_coarse_to_fine(problem, take.start, stage, on_iteration=lambda i, _e: heard.append(i))
    whole = minimise(problem, take.start, stage)
    assert found.energy[-1] == pytest.approx(problem.energy(found.state), rel=1e-12)
    assert found.energy[-1] < 1.0005 * whole.energy[-1]
    assert heard == list(range(1, found.iterations + 1))
    assert len(found.energy) < len(whole.energy)
