"""The learned neutral on rendered MakeHuman people, who are in nobody's training, and where it keeps silent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.alignment.landmarks.face_finder import BlazeFaceFinder
from backend.evaluation.benchmark import SequenceSpec, load_makehuman_head
from backend.fitting import EnergyWeights, FitOptions, View
from backend.fitting.learned_neutral import (
    NeutralTable,
    identity_space,
    learned_neutral,
    load_neutral_table,
)
from backend.fitting.posed import neutral_vertices
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.rigid import similarity_between
from backend.observations import PointSetId, ViewAlignment
from backend.point_calibration.rendered_heads import pictures
from backend.solving import solve_take

PEOPLE = (0, 3, 5)
SIDE = 320


@dataclass(frozen=True, eq=False)
class Person:
    """What is seen of somebody, from the front and from the side, and their true neutral (V,3) on the open head."""

    front: ViewAlignment
    side: ViewAlignment
    neutral: NDArray[np.float64]


@pytest.fixture(scope="module")
def people() -> list[Person]:
    head, aligner, finder = load_makehuman_head(), LandmarkAligner(), BlazeFaceFinder()
    count, seen = load_head("open").vertex_count, []
    for number in PEOPLE:
        spec = SequenceSpec("dev", 20260, number, "turns", 2, side=SIDE, people="makehuman")
        views = []
        for _, picture in pictures(head, spec, {}, np.deg2rad([(0.0, 0.0), (50.0, 0.0)])):
            (found,) = aligner.align([picture], [finder.find(picture)[0]])
            assert found is not None
            (points,) = found.point_sets
            one = replace(points, mu=points.mu[None], sigma=points.sigma[None], valid=points.valid[None])
            views.append(
                replace(ViewAlignment.of(one, image_size=(SIDE, SIDE)), action_scores=found.action_scores[None])
            )
        neutral = head.neutral(spec.identity(len(head.identity_basis)))[:count].astype(np.float64)
        seen.append(Person(*views, neutral))
    return seen


def distance(head: HeadModel, neutral: NDArray[np.floating], truth: NDArray[np.float64]) -> float:
    """RMS in mm on the face, size taken out."""
    face = head.regions["face"] & head.regions["skin"]
    a, b = neutral[face].astype(np.float64), truth[face]
    laid = similarity_between(a, b, np.ones(len(a)), scaled=True).apply(a)
    return 1e3 * float(np.sqrt(np.square(laid - b).sum(axis=1).mean()))


def test_people_are_told_apart_from_the_mean_head_and_fitted_nearer_to_the_truth(people: list[Person]) -> None:
    head = load_head("open")
    mean, told, without, fitted = [], [], [], []
    for person in people:
        neutral = learned_neutral(head, [person.front])
        assert neutral is not None
        mean.append(distance(head, head.template, person.neutral))
        told.append(distance(head, neutral, person.neutral))
        for weights, distances in ((EnergyWeights(learned_neutral=0), without), (EnergyWeights(), fitted)):
            fit = solve_take(head, [View(person.front)], FitOptions(weights=weights)).fit
            distances.append(distance(head, neutral_vertices(head, fit), person.neutral))
    assert np.mean(told) < 0.9 * np.mean(mean)
    assert np.mean(fitted) < 0.97 * np.mean(without)


def test_nothing_is_told_of_other_heads_points_and_views(people: list[Person]) -> None:
    head, front, side = load_head("open"), people[0].front, people[0].side
    assert learned_neutral(load_head("open1"), [front]) is None
    assert learned_neutral(replace(head, shape_basis=head.shape_basis[:10]), [front]) is None
    (points,) = front.point_sets
    assert (
        learned_neutral(head, [replace(front, point_sets=(replace(points, id=PointSetId(points.id.name, "x")),))])
        is None
    )
    assert learned_neutral(head, [front, side]) is None
    assert learned_neutral(head, [side]) is None
    hidden = np.zeros_like(points.valid)
    assert learned_neutral(head, [replace(front, point_sets=(replace(points, valid=hidden),))]) is None


def test_the_table_is_of_the_open_head_and_comes_back_from_its_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    table = load_neutral_table()
    assert table.identities == identity_space(load_head("open")), (
        "learn it again: backend.point_calibration.neutral_shape"
    )
    table.save(tmp_path / "again.npz")
    again: NeutralTable = load_neutral_table(tmp_path / "again.npz")
    assert (again.identities, again.about) == (table.identities, table.about)
    moved = np.random.default_rng(1).normal(scale=0.1, size=(3, 478, 2))
    np.testing.assert_allclose(again.identity(moved), table.identity(moved), atol=1e-6)
    assert again.identity(moved).shape == (3, table.weights.shape[1])
