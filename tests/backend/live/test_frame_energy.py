"""One picture's energy is the fit's own for one frame, and its derivatives are those of its values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.alignment.landmarks.lid_points import mediapipe_lids
from backend.alignment.lids import with_lid_closure
from backend.fitting.cameras import Cameras
from backend.fitting.observed_points import ObservedPoints
from backend.fitting.point_basis import build_point_basis
from backend.fitting.problem import Problem, build_problem, camera_unknowns
from backend.fitting.state import State
from backend.fitting.terms.priors import FocalPrior, ShapePrior
from backend.fitting.terms.temporal import TemporalTerm
from backend.fitting.types import EnergyWeights, FitOptions, KnownCamera, View
from backend.head_model.model import HeadModel
from backend.live.frame_basis import FrameBasis, build_frame_basis
from backend.live.frame_energy import Before, FrameEnergy, FrameState, Lens
from backend.live.person import Person
from backend.live.telling import Telling
from backend.observations import AlignedFrame, Alignment, ViewAlignment
from backend.synthesis.performance import Performance
from tests.backend.live.made import person_of, seen_in

WEIGHTS = EnergyWeights()


@pytest.fixture(scope="module")
def person(head: HeadModel, truth: Performance) -> Person:
    return person_of(head, truth)


@pytest.fixture(scope="module")
def basis(person: Person) -> FrameBasis:
    return build_frame_basis(person, WEIGHTS)


@pytest.fixture(scope="module")
def seen(head: HeadModel, truth: Performance) -> Alignment:
    """A frame of a blink, its points off by some pixels, with made scores of the blendshape network."""
    random = np.random.default_rng(3)
    alignment = seen_in(head, truth)[12]
    (points,) = alignment.point_sets
    off = points.mu + random.normal(scale=1.5, size=points.mu.shape).astype(np.float32)
    scores = random.uniform(0, 0.6, 52).astype(np.float32)
    return replace(alignment, point_sets=(replace(points, mu=off),), action_scores=scores)


@pytest.fixture(scope="module")
def energy(head: HeadModel, person: Person, basis: FrameBasis, seen: Alignment) -> FrameEnergy:
    told = Telling(head, basis, WEIGHTS).tell(seen, 0.0)
    return FrameEnergy(basis, WEIGHTS, Lens(person.focal_px, person.principal_point), told)


@pytest.fixture(scope="module")
def state(basis: FrameBasis, truth: Performance) -> FrameState:
    """Somewhere near the truth, all actions within their bounds and none on one."""
    from scipy.spatial.transform import Rotation

    random = np.random.default_rng(5)
    return FrameState(
        expression=random.uniform(0.05, 0.5, basis.count),
        rotation=Rotation.from_rotvec(truth.head_rotation[12] + 0.03).as_matrix(),
        translation=truth.head_translation[12] + 0.004,
        gaze=random.uniform(-0.2, 0.2, 4),
    )


def fits_problem(person: Person, seen: Alignment, weights: EnergyWeights) -> tuple[Problem, State]:
    """What the offline fit makes of the same picture, without what speaks of other frames, shape and lens."""
    frame = AlignedFrame(1, 0.0, 1.0, seen)
    ids = [own.id for own in seen.point_sets]
    stacked = ViewAlignment.stacked([frame], ids, aligner="mediapipe", image_size=person.image_size, frame_rate=10.0)
    camera = KnownCamera(person.focal_px, person.principal_point)
    views = [View(with_lid_closure(stacked, mediapipe_lids()), camera)]
    own = person.own_head()
    points = ObservedPoints.of(views, own.landmarks)
    told = build_point_basis(own, points.surface, weights, 0, None, torch.device("cpu"))
    from backend.fitting.action_witness import action_witness

    options = FitOptions(weights=weights)
    unknowns = camera_unknowns(views, options, np.zeros(3), told.prior)
    problem = build_problem(
        own, told, points, views, options, unknowns, None, action_witness(own, [views[0].alignment])
    )
    for kind in (TemporalTerm, ShapePrior, FocalPrior):
        problem = problem.without(kind)
    cameras = Cameras(
        rotation=torch.eye(3, dtype=torch.float64)[None],
        translation=torch.zeros(1, 3, dtype=torch.float64),
        log_focal=torch.tensor([np.log(person.focal_px)]),
        principal_point=torch.tensor([person.principal_point], dtype=torch.float64),
    )
    empty = torch.zeros(0, dtype=torch.float64)
    zero = torch.zeros(1, 3, dtype=torch.float64)
    return problem, State(empty, cameras, torch.zeros(1, told.expression_count), zero, zero, torch.zeros(1, 4))


def test_the_energy_is_that_of_the_offline_fit(
    person: Person, seen: Alignment, energy: FrameEnergy, state: FrameState
) -> None:
    problem, like = fits_problem(person, seen, WEIGHTS)
    theirs = replace(
        like,
        expression=torch.as_tensor(state.expression)[None],
        rotation=torch.as_tensor(state.rotation)[None],
        translation=torch.as_tensor(state.translation)[None],
        gaze=torch.as_tensor(state.gaze)[None],
    )
    assert energy.at(state) == pytest.approx(problem.energy(theirs), rel=1e-6)
    equations = problem.linearise(theirs)
    own = energy.about(state)
    np.testing.assert_allclose(own.gradient, equations.frame_gradient[0].numpy(), rtol=1e-4, atol=1e-2)
    scale = np.abs(own.form).max()
    np.testing.assert_allclose(own.form, equations.frame[0].numpy(), rtol=1e-3, atol=1e-5 * scale)


def test_the_gradient_is_that_of_finite_differences(basis: FrameBasis, energy: FrameEnergy, state: FrameState) -> None:
    before = Before(replace(state, expression=state.expression * 0.5, gaze=state.gaze + 0.1), 40.0, 70.0)
    pulled = energy.with_before(before)
    gradient = pulled.about(state).gradient
    size = 1e-6
    for unknown in range(len(gradient)):
        step = np.zeros(len(gradient))
        step[unknown] = size
        slope = (pulled.at(state.moved(step, basis)) - pulled.at(state.moved(-step, basis))) / (2 * size)
        assert gradient[unknown] == pytest.approx(slope, rel=1e-4, abs=1e-2), unknown


def test_the_jacobian_is_that_of_finite_differences(basis: FrameBasis, energy: FrameEnergy, state: FrameState) -> None:
    jacobian = energy.jacobian(state)
    size = 1e-6
    for unknown in range(jacobian.shape[2]):
        step = np.zeros(jacobian.shape[2])
        step[unknown] = size
        there, back = (energy.project(state.moved(sign * step, basis)).image for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, :, unknown], (there - back) / (2 * size), rtol=1e-4, atol=1e-3)
