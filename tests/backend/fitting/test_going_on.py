"""A fit that goes on from an earlier one, and holds what it is told to hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.fitting import FitOptions, FitResult, Fixed, KnownCamera, View, fit_take
from backend.observations import PointSet, PointSetId
from tests.backend.fitting.observed import changed
from tests.backend.fitting.test_several_views import Known, make_known

OPTIONS = FitOptions(identity_components=30, tolerance=1e-7)
PIN = PointSetId("pins", "the animator")


@pytest.fixture(scope="module")
def known() -> Known:
    return make_known()


@pytest.fixture(scope="module")
def whole(known: Known) -> FitResult:
    return fit_take(known.head, [View(known.seen[0])], OPTIONS)


def test_from_its_own_end_a_fit_hardly_moves(known: Known, whole: FitResult) -> None:
    again = fit_take(known.head, [View(known.seen[0])], OPTIONS, initial=whole)
    assert again.iterations < whole.iterations / 2
    assert again.energy[-1] == pytest.approx(whole.energy[-1], rel=1e-5)
    np.testing.assert_allclose(again.head_translation, whole.head_translation, atol=2e-4)
    np.testing.assert_allclose(again.expression, whole.expression, atol=0.02)


def test_frames_and_what_all_share_stay_while_a_range_is_solved_again(known: Known, whole: FitResult) -> None:
    """An animator's range: new observations in it, everything else as it was, to the last digit."""
    span = slice(8, 14)
    mu = known.seen[0].mu.copy()
    mu[span] += 6.0
    held = np.ones(whole.expression.shape[0], bool)
    held[span] = False
    fixed = Fixed(frames=held, identity=True, cameras=True)
    view = View(changed(known.seen[0], mu=mu))
    again = fit_take(known.head, [view], OPTIONS, initial=whole, fixed=fixed)
    np.testing.assert_array_equal(again.identity, whole.identity)
    assert again.cameras[0].focal_px == pytest.approx(whole.cameras[0].focal_px, rel=1e-12)
    for name in ("expression", "head_rotation", "gaze"):
        np.testing.assert_array_equal(getattr(again, name)[held], getattr(whole, name)[held])
    np.testing.assert_allclose(again.head_translation[held], whole.head_translation[held], atol=1e-12)
    moved = _image_shift(whole, again)
    assert 3.0 < moved[span].mean() < 9.0, "the range follows its own points"


def _image_shift(before: FitResult, after: FitResult) -> NDArray[np.float64]:
    """(T,) pixels that the head's origin moved by along each axis of the first camera's picture, on average."""
    seen = []
    for fit in (before, after):
        camera = fit.cameras[0]
        there = fit.head_translation @ camera.world_to_camera[:, :3].T + camera.world_to_camera[:, 3]
        seen.append(there[:, :2] / there[:, 2:] * camera.focal_px)
    return np.asarray((seen[1] - seen[0]).mean(axis=1))


@pytest.mark.parametrize("kind", ["expression", "pose", "gaze"])
def test_kinds_of_unknowns_stay(known: Known, whole: FitResult, kind: str) -> None:
    mu = known.seen[0].mu + np.float32(3.0)
    view = View(changed(known.seen[0], mu=mu))
    again = fit_take(known.head, [view], OPTIONS, initial=whole, fixed=Fixed(**{kind: True}))
    names = {"expression": ["expression"], "pose": ["head_rotation"], "gaze": ["gaze"]}[kind]
    for name in ("expression", "head_rotation", "gaze"):
        same = np.array_equal(getattr(again, name), getattr(whole, name))
        assert same == (name in names)


def test_what_is_held_stays_where_no_view_sees_the_face_too(known: Known, whole: FitResult) -> None:
    """Before the first seen frame the rest is held as it is seen there."""
    valid = known.seen[0].valid.copy()
    valid[:4] = False
    view = View(changed(known.seen[0], valid=valid))
    again = fit_take(known.head, [view], OPTIONS, initial=whole, fixed=Fixed(expression=True))
    np.testing.assert_array_equal(again.expression, whole.expression)
    np.testing.assert_array_equal(again.head_rotation[:4], again.head_rotation[[4] * 4])


def test_only_what_has_a_value_can_be_held(known: Known) -> None:
    with pytest.raises(ValueError, match="initial"):
        fit_take(known.head, [View(known.seen[0])], OPTIONS, fixed=Fixed(identity=True))


def test_a_solution_of_other_frames_is_refused(known: Known, whole: FitResult) -> None:
    with pytest.raises(ValueError, match="cannot start a fit"):
        fit_take(known.head, [View(known.seen[0].at(np.arange(5)))], OPTIONS, initial=whole)


@pytest.mark.slow
def test_pins_beside_an_aligners_points_pull_where_they_are(known: Known) -> None:
    """Free points of one view and one frame, made by somebody else, are observations like any others."""
    points = known.head.landmarks["mediapipe478"]
    nose = type(points)(points.triangle[[4]], points.barycentric[[4]])
    frames = known.seen[0].frame_count
    pins = PointSet.unseen(PIN, frames, 1, nose)
    target = known.seen[0].mu[10, 4] + np.float32(8.0)
    pins.mu[10, 0], pins.sigma[10, 0], pins.valid[10, 0] = target, 0.01, True
    views = [View(known.seen[0].with_point_set(pins)), View(known.seen[1])]
    # A pin is no outlier, however far from the aligner's points: without the robust kernel.
    options = replace(OPTIONS, weights=replace(OPTIONS.weights, robust_scale=1e6))
    plain = fit_take(known.head, [View(known.seen[0]), View(known.seen[1])], options)
    pinned = fit_take(known.head, views, options)
    assert [(p.id.made_by, p.count) for p in pinned.points] == [("mediapipe478", 478), ("the animator", 1)]
    assert pinned.reprojection_error_px.shape == (2, frames, 479)
    assert np.isnan(pinned.reprojection_error_px[1, :, -1]).all(), "the other view knows nothing of the pin"
    assert pinned.reprojection_error_px[0, 10, -1] < 1.5
    assert pinned.without_points("the animator").reprojection_error_px.shape == plain.reprojection_error_px.shape


def test_views_of_different_point_sets_are_fitted_together(known: Known) -> None:
    few = known.seen[1].point_sets[0]
    free = known.head.landmarks["mediapipe478"]
    chosen = np.arange(0, 468, 7)
    some = PointSet(
        PointSetId("some", "another aligner"),
        few.mu[:, chosen],
        few.sigma[:, chosen],
        few.valid[:, chosen],
        type(free)(free.triangle[chosen], free.barycentric[chosen]),
    )
    other = changed(known.seen[1])
    other = type(other).of(some, image_size=other.image_size, frame_rate=other.frame_rate)
    known_cameras = [KnownCamera(world_to_camera=camera) for camera in known.cameras[:2]]
    fit = fit_take(known.head, [View(known.seen[0], known_cameras[0]), View(other, known_cameras[1])], OPTIONS)
    assert fit.reprojection_error_px.shape[2] == 478 + len(chosen)
    assert np.isnan(fit.reprojection_error_px[0, :, 478:]).all()
    assert np.isnan(fit.reprojection_error_px[1, :, :478]).all()
    assert np.nanmedian(fit.reprojection_error_px) < 1.5
