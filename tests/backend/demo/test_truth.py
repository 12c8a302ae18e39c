"""The measure of truth is right: exact tracks are at no distance, known changes are at the distance that was put in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.demo.truth import compare, inter_ocular_px, project
from backend.head_model.gaze import FULL_LOOK_ANGLE
from backend.head_model.model import HeadModel
from backend.synthesis.performance import (
    DEMO_GESTURES,
    Performance,
    demo_performance,
    expression_curves,
    swell,
    world_vertices,
)
from backend.track.geometry import seen_vertices
from backend.track.types import CameraTrack, Track
from tests.backend.fitting.small_head import small_head


@pytest.fixture(scope="module")
def head() -> HeadModel:
    head = small_head()
    return replace(head, regions={"face": np.arange(head.vertex_count) < 60})


@pytest.fixture(scope="module")
def truth(head: HeadModel) -> Performance:
    return demo_performance(head, frame_count=30)


def exact_track(head: HeadModel, truth: Performance) -> Track:
    """The track of a perfect tracker, its arrays read-only as those from a file are."""
    count = truth.frame_count
    camera = CameraTrack(
        name="camera",
        footage="/clip.mp4",
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=count,
        footage_rotation=0,
        image_size=truth.image_size,
        focal_px=truth.focal_px,
        principal_point=truth.principal_point,
        world_to_camera=np.tile(np.eye(3, 4), (count, 1, 1)),
    )
    arrays = {name: getattr(truth, name).copy() for name in ("head_rotation", "head_translation", "expression", "gaze")}
    for array in arrays.values():
        array.flags.writeable = False
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=truth.identity,
        **arrays,
        cameras=(camera,),
        frames=np.arange(1, count + 1),
        scene_frames=np.arange(1.0, count + 1.0),
        times=np.arange(count) / truth.frame_rate,
        frame_rate=truth.frame_rate,
        tracked=np.ones(count, bool),
        reprojection_error_percent_iod=np.zeros(count, np.float32),
    )


def test_an_exact_track_is_at_no_distance(head: HeadModel, truth: Performance) -> None:
    report = compare(head, truth, exact_track(head, truth))
    assert report.frames == truth.frame_count
    assert report.vertex_error_percent_iod < 1e-3
    assert report.rotation_error_degrees < 1e-3
    assert report.rotation_error_aligned_degrees < 1e-3
    assert report.gaze_error_degrees < 1e-3
    assert report.focal_ratio == pytest.approx(1.0)


def test_a_constant_turn_counts_in_full_and_not_at_all_once_aligned(head: HeadModel, truth: Performance) -> None:
    track = exact_track(head, truth)
    turned = Rotation.from_rotvec(truth.head_rotation) * Rotation.from_euler("x", 4.0, degrees=True)
    report = compare(head, truth, replace(track, head_rotation=turned.as_rotvec()))
    assert report.rotation_error_degrees == pytest.approx(4.0, abs=1e-6)
    assert report.rotation_error_aligned_degrees < 1e-5
    assert report.gaze_error_degrees == pytest.approx(4.0, abs=0.5)


def test_a_principal_point_off_by_pixels_is_that_far_in_the_image(head: HeadModel, truth: Performance) -> None:
    track = exact_track(head, truth)
    camera = replace(track.cameras[0], principal_point=truth.principal_point + np.array([3.0, 4.0]))
    report = compare(head, truth, replace(track, cameras=(camera,)))
    expected = 100 * (5.0 / inter_ocular_px(head, truth)).mean()
    assert report.vertex_error_percent_iod == pytest.approx(expected, rel=1e-3)


def test_focal_ratio_is_tracked_over_true_and_untracked_frames_do_not_count(
    head: HeadModel, truth: Performance
) -> None:
    track = exact_track(head, truth)
    tracked = np.arange(truth.frame_count) >= 10
    focal = np.where(tracked, 1.1 * truth.focal_px, 99.0)
    camera = replace(track.cameras[0], focal_px=focal)
    report = compare(head, truth, replace(track, cameras=(camera,), tracked=tracked))
    assert report.frames == truth.frame_count - 10
    assert report.focal_ratio == pytest.approx(1.1)


def test_a_track_that_moves_the_camera_instead_of_the_head_is_seen_at_the_same_place(
    head: HeadModel, truth: Performance
) -> None:
    track = exact_track(head, truth)
    shift = np.array([0.1, -0.2, 0.3])
    extrinsics = np.tile(np.eye(3, 4), (truth.frame_count, 1, 1))
    extrinsics[:, :, 3] = -shift
    moved = replace(
        track,
        head_translation=track.head_translation + shift,
        cameras=(replace(track.cameras[0], world_to_camera=extrinsics),),
    )
    truth_image = project(world_vertices(head, truth), truth.focal_px, truth.principal_point)
    seen = seen_vertices(head, moved, np.arange(truth.frame_count))
    np.testing.assert_allclose(seen[..., :2], truth_image, atol=1e-3)
    np.testing.assert_allclose(seen[..., 2], world_vertices(head, truth)[..., 2], atol=1e-5)


@pytest.mark.parametrize("change", [{"tracked": np.zeros(30, bool)}, {"expression": np.zeros((29, 7), np.float32)}])
def test_what_cannot_be_compared_is_refused(head: HeadModel, truth: Performance, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="track"):
        compare(head, truth, replace(exact_track(head, truth), **change))  # type: ignore[arg-type]


def test_the_performance_is_the_same_every_time_and_starts_facing_the_camera(head: HeadModel) -> None:
    first, again = demo_performance(head), demo_performance(head)
    np.testing.assert_array_equal(first.expression, again.expression)
    np.testing.assert_array_equal(first.identity, again.identity)
    forward = Rotation.from_rotvec(first.head_rotation).apply([0, 0, 1.0])
    assert (forward[:, 2] < -0.9).all()  # out of the face is towards the camera
    up = Rotation.from_rotvec(first.head_rotation).apply([0, 1.0, 0])
    assert (up[:, 1] < -0.9).all()  # and up is up in the picture
    image = project(world_vertices(head, first)[:, :60], first.focal_px, first.principal_point)
    assert image.min() > 0
    assert image.max() < first.image_size[0]


def test_curves_are_smooth_bounded_and_lids_follow_the_eyes(head: HeadModel) -> None:
    seconds = np.arange(100) / 25
    gaze = np.zeros((100, 2, 2))
    gaze[:, :, 1] = FULL_LOOK_ANGLE / 2
    curves = expression_curves(head.expression_names, DEMO_GESTURES, gaze, seconds)
    names = list(head.expression_names)
    assert curves.min() == 0.0
    assert curves.max() <= 1.0
    assert np.abs(np.diff(curves, axis=0)).max() < 0.35
    np.testing.assert_allclose(curves[:, names.index("eyeLookUpLeft")], 0.5, atol=1e-6)
    assert (curves[:, names.index("eyeLookDownLeft")] == 0).all()
    assert curves[:, names.index("jawOpen")].max() > 0.4


def test_swell_peaks_at_its_centre_and_ends_at_zero() -> None:
    values = swell(np.array([0.0, 0.5, 0.75, 1.0, 1.5, 9.0]), centre=1.0, length=1.0)
    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 0, 0], atol=1e-12)
