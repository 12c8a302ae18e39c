"""Landmark errors, the silhouette and the cumulative curve against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from backend.evaluation.metrics.landmarks import (
    BOUNDARY_17,
    INNER_51,
    boundary_error,
    cumulative_curve,
    jaw_line,
    normalised_mean_error,
    overall_error,
    silhouette_edges,
)
from backend.evaluation.trackers.flowface import FlowFace
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from tests.backend.evaluation.patches import ball, sequence


def _truth() -> np.ndarray:
    """Two faces whose outer eye corners are 100 and 50 pixels apart, in a box of 200 × 50 and 100 × 25 pixels."""
    points = np.random.default_rng(0).uniform([0, 0], [200, 50], (68, 2))
    points[[36, 45, 0, 16]] = [[50, 10], [150, 10], [0, 0], [200, 50]]
    return np.stack([points, points / 2])


def test_perfect_landmarks_have_no_error() -> None:
    assert not normalised_mean_error(_truth(), _truth()).any()


def test_a_shift_is_its_length_over_the_distance_of_the_eyes_or_the_size_of_the_box() -> None:
    shifted = _truth() + np.array([3.0, 4.0])
    np.testing.assert_allclose(normalised_mean_error(_truth(), shifted), [0.05, 0.1])
    np.testing.assert_allclose(normalised_mean_error(_truth(), shifted, normaliser="box"), [0.05, 0.1])


def test_inner_and_boundary_points_are_told_apart() -> None:
    moved = _truth()
    moved[:, BOUNDARY_17] += [10.0, 0.0]
    assert not normalised_mean_error(_truth(), moved, points=INNER_51).any()
    np.testing.assert_allclose(normalised_mean_error(_truth(), moved, points=BOUNDARY_17), [0.1, 0.2])
    np.testing.assert_allclose(normalised_mean_error(_truth(), moved), np.array([0.1, 0.2]) * 17 / 68)


def test_the_error_is_the_mean_distance_not_the_mean_square() -> None:
    moved = _truth()
    moved[:, :34] += [0.0, 20.0]
    np.testing.assert_allclose(normalised_mean_error(_truth(), moved), [0.1, 0.2])


def test_points_without_annotation_and_lost_faces() -> None:
    moved, valid = _truth(), np.ones((2, 68), bool)
    moved[0, 20], valid[0, 20] = 1e6, False
    moved[1] = np.nan
    errors = normalised_mean_error(_truth(), moved, valid=valid)
    assert errors[0] == 0
    assert np.isnan(errors[1])


def test_inner_counts_three_times_the_boundary() -> None:
    np.testing.assert_allclose(overall_error(np.array([0.04]), np.array([0.08])), [0.05])


def test_the_boundary_error_is_the_distance_to_the_nearest_silhouette_edge() -> None:
    boundary = np.stack([np.arange(9) * 10.0, np.zeros(9)], axis=1)
    line = np.array([[[-10.0, 2.0], [100.0, 2.0]], [[500.0, 0.0], [500.0, 9.0]]])
    assert boundary_error(boundary, line, 40.0) == pytest.approx(2.0 / 40.0)
    # Beyond its end an edge is as far as that end: (3, 4) away from the last point, the others 2 or more below.
    short = np.array([[[83.0, 4.0], [200.0, 4.0]]])
    assert boundary_error(boundary[-1:], short, 10.0) == pytest.approx(0.5)
    assert np.isnan(boundary_error(boundary, np.zeros((0, 2, 2)), 40.0))


def test_the_silhouette_of_a_sphere_lies_on_the_cone_that_touches_it() -> None:
    radius, distance, focal = 0.1, 0.5, 400.0
    vertices, triangles = ball(radius, (0.0, 0.0, distance), 6000)
    edges = silhouette_edges(vertices, triangles, focal_px=focal, principal_point=np.array([100.0, 80.0]))
    expected = focal * radius / np.sqrt(distance**2 - radius**2)
    assert len(edges) > 100
    np.testing.assert_allclose(np.linalg.norm(edges - [100.0, 80.0], axis=-1), expected, rtol=0.02)
    top = vertices[:, 1] < 0
    some = silhouette_edges(vertices, triangles, focal_px=focal, principal_point=np.zeros(2), allowed=top)
    assert 0 < len(some) < len(edges) and (some[..., 1] < 0).all()


def test_the_border_of_an_open_mesh_belongs_to_its_silhouette() -> None:
    patch = sequence(columns=12, rows=12)
    vertices = patch.vertices[0]
    edges = silhouette_edges(vertices, patch.triangles, focal_px=500.0, principal_point=np.array([128.0, 128.0]))
    assert len(edges) >= 12
    assert np.abs(edges - 128).max() > 60
    assert not len(
        silhouette_edges(vertices, patch.triangles[:, ::-1], focal_px=500.0, principal_point=np.zeros(2),
                         allowed=patch.regions["nose"])
    )  # fmt: skip


def test_the_cumulative_curve_of_known_errors() -> None:
    curve = cumulative_curve(np.array([0.0, 0.025, 0.05, 0.2, np.nan]), limit=0.1, steps=4)
    np.testing.assert_allclose(curve.threshold, [0, 0.025, 0.05, 0.075, 0.1])
    np.testing.assert_allclose(curve.fraction, [0.2, 0.4, 0.6, 0.6, 0.6])
    assert curve.area_under_curve == pytest.approx((1 + 0.75 + 0.5) / 5)
    assert curve.failure_rate == pytest.approx(0.4)


@given(st.lists(st.floats(0, 0.3) | st.just(float("nan")), min_size=1, max_size=40))
def test_the_curve_rises_and_its_area_is_the_integral(errors: list[float]) -> None:
    curve = cumulative_curve(np.array(errors), steps=5000)
    assert (np.diff(curve.fraction) >= 0).all()
    assert curve.area_under_curve == pytest.approx(trapezoid(curve.fraction, curve.threshold) / curve.limit, abs=1e-3)
    assert curve.failure_rate == pytest.approx(1 - curve.fraction[-1])


def test_a_curve_needs_errors() -> None:
    with pytest.raises(ValueError, match="at least one error"):
        cumulative_curve(np.array([]))


def test_a_frontal_chin_is_the_jaw_line_and_no_silhouette() -> None:
    """The skin below the open head's chin faces a camera in front: without the jaw's ridge the throat would count."""
    head = load_head()
    facing = head.template * np.array([1.0, -1.0, -1.0]) + np.array([0.0, 0.0, 0.8])
    seen = surface_positions(head.landmarks["ibug68"], head.triangles, facing)
    pixels = seen[:, :2] / seen[:, 2:] * 900.0 + 400.0
    allowed = FlowFace().outline(None)  # type: ignore[arg-type] - all its meshes are of one head
    silhouette = silhouette_edges(
        facing, head.triangles, focal_px=900.0, principal_point=np.full(2, 400.0), allowed=allowed
    )
    apart = float(np.linalg.norm(pixels[36] - pixels[45]))
    chin, cheeks = pixels[7:10] + np.array((0.0, 1.0)), pixels[[3, 4, 12, 13]]
    assert boundary_error(chin, silhouette, apart) > 0.2
    assert boundary_error(chin, jaw_line(pixels), apart) < 0.02
    assert boundary_error(cheeks, silhouette, apart) < 0.06, "there it is both"
    throat = facing[:, 1] > seen[8, 1] + 0.02
    assert not (allowed & throat).any(), "and the neck's outline is not the face's"
