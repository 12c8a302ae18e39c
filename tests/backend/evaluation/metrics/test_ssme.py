"""Screen-space motion error: known motions score what one computes by hand, whatever the mesh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.evaluation.metrics.ssme import hold_lost, ssme
from tests.backend.evaluation.patches import F64, Motion, drifting, sequence, still

pytestmark = pytest.mark.slow


def _speaking(strength: float, frames: int = 20) -> Motion:
    """Turning, coming nearer and deforming smoothly, ``strength`` times as much as the truth does."""

    def motion(material: F64, rest: F64) -> F64:
        time = np.arange(frames)[:, None] / 10
        u, v = material.T
        moved = np.repeat(rest[None], frames, axis=0)
        moved[..., 0] += strength * (0.02 * np.sin(time) + 0.006 * np.sin(2 * time + 2 * v))
        moved[..., 1] += strength * 0.008 * np.sin(3 * time) * (1 + v)
        moved[..., 2] += strength * (0.03 * np.sin(time / 2) + 0.004 * np.cos(2 * time + 3 * u))
        return moved

    return motion


def test_the_truth_against_itself_is_zero_in_every_region() -> None:
    truth = sequence(_speaking(1.0))
    result = ssme(truth, truth, horizons=8)
    assert set(result.mean) == {"face", "nose", "mouth"}
    assert all(value == 0 for value in result.mean.values())
    assert np.nanmax(result.vertex_error) == 0


@settings(max_examples=10, deadline=None)
@given(x=st.floats(-1.5, 1.5), y=st.floats(-1.5, 1.5), stride=st.sampled_from([1, 2, 4]))
def test_a_constant_wrong_velocity_scores_velocity_times_horizon(x: float, y: float, stride: int) -> None:
    truth = sequence(drifting((0.25, -0.5)), 20, 24)
    predicted = sequence(drifting((0.25 + x, -0.5 + y)), 20, 24)
    result = ssme(truth, predicted, horizons=5, stride=stride)
    expected = np.hypot(x, y) * np.arange(1, 6)
    for curve in result.per_horizon.values():
        np.testing.assert_allclose(curve, expected, atol=2e-4)
    assert result.mean["face"] == pytest.approx(expected.mean(), abs=2e-4)


def test_a_constant_offset_in_the_image_is_no_motion_error() -> None:
    truth = sequence(drifting((1.0, 0.0)))
    shifted = replace(truth, principal_point=truth.principal_point + np.array([3.0, -2.0]))
    assert ssme(truth, shifted, horizons=5).mean["face"] == pytest.approx(0.0, abs=2e-4)


def test_another_focal_length_seen_in_the_same_place_scores_the_difference_of_the_motion() -> None:
    truth = sequence(drifting((1.0, 0.0)))
    predicted = replace(truth, focal_px=truth.focal_px * 1.2)  # moves 1.2 px per frame
    np.testing.assert_allclose(ssme(truth, predicted, horizons=4).per_horizon["face"], 0.2 * np.arange(1, 5), atol=1e-3)


def test_only_the_region_that_moves_wrongly_scores() -> None:
    truth = sequence()
    wrong = truth.vertices.copy()
    mouth = truth.regions["mouth"]
    wrong[:, mouth, 0] += (np.arange(12) * 1e-3)[:, None].astype(np.float32)
    result = ssme(truth, replace(truth, vertices=wrong), horizons=5)
    assert result.mean["nose"] == 0
    assert result.mean["mouth"] > 10 * result.mean["face"] > 0
    far = ~mouth & (np.abs(truth.neutral[:, 1] - truth.neutral[mouth][:, 1].mean()) > 0.06)
    assert np.nanmax(result.vertex_error[far]) == 0
    assert np.nanmean(result.vertex_error[mouth]) > result.mean["face"]


def test_a_region_reaches_half_way_to_the_vertices_that_are_not_in_it() -> None:
    cell = 2 / 40

    def spreading(material: F64, rest: F64) -> F64:
        shift = np.abs(material[:, :1]) / cell * rest[:, 2:] * [0.0, 1 / 500.0, 0.0]  # pixels: columns from the middle
        return np.stack([rest, rest + shift])

    truth = sequence(lambda _, rest: np.stack([rest, rest]), 41, 48)
    middle = np.abs(np.tile(np.linspace(-1, 1, 41), 48)) < cell / 2
    result = ssme(replace(truth, regions={"nose": middle}), sequence(spreading, 41, 48), horizons=1, stride=1)
    assert result.mean["nose"] == pytest.approx(0.25, rel=0.1)  # from 0 in the middle to half a column


def test_meshes_of_different_topology_with_the_same_motion_agree() -> None:
    truth = sequence(_speaking(1.0), 40, 48)
    scores = {}
    for name, columns, rows in (("coarse", 25, 31), ("fine", 73, 83)):
        same = ssme(truth, sequence(_speaking(1.0), columns, rows), horizons=10)
        wrong = ssme(truth, sequence(_speaking(0.7), columns, rows), horizons=10)
        scores[name] = wrong
        assert same.mean["face"] < 0.02 * wrong.mean["face"]
    for region in ("face", "nose", "mouth"):
        np.testing.assert_allclose(
            scores["coarse"].per_horizon[region], scores["fine"].per_horizon[region], rtol=0.02, err_msg=region
        )


def test_the_stride_hardly_changes_the_score() -> None:
    truth, predicted = sequence(_speaking(1.0)), sequence(_speaking(0.6))
    every, second = (ssme(truth, predicted, horizons=6, stride=stride).mean["face"] for stride in (1, 2))
    assert second == pytest.approx(every, rel=0.01)


def test_lost_frames_hold_the_last_mesh() -> None:
    truth = sequence(drifting((2.0, 0.0)))
    vertices = truth.vertices.copy()
    vertices[7:] = np.nan
    predicted = replace(truth, vertices=vertices, tracked=np.arange(12) < 7)
    seen = np.minimum(np.arange(12), 6)
    expected = [2 * np.mean([h - (seen[t + h] - seen[t]) for t in range(12 - h)]) for h in range(1, 5)]
    # The held mesh no longer lies under the truth's, so its border pixels follow the nearest pixel it covers.
    np.testing.assert_allclose(ssme(truth, predicted, horizons=4).per_horizon["face"], expected, atol=1e-3)


def test_frames_before_the_first_tracked_one_hold_that_one() -> None:
    truth = sequence(drifting((1.0, 0.0)))
    held = hold_lost(replace(truth, tracked=np.arange(12) >= 3))
    assert held is not None
    np.testing.assert_array_equal(held.vertices[:3], np.repeat(truth.vertices[3:4], 3, axis=0))


def test_a_tracker_that_never_tracked_has_no_flow() -> None:
    truth = sequence(drifting((0.0, 1.5)))
    lost = replace(truth, tracked=np.zeros(12, bool), vertices=np.full_like(truth.vertices, np.nan))
    np.testing.assert_allclose(ssme(truth, lost, horizons=3).per_horizon["nose"], [1.5, 3.0, 4.5], atol=1e-4)


def test_a_mesh_that_covers_only_a_part_lends_its_nearest_pixels() -> None:
    truth = sequence()
    part = sequence(drifting((1.0, 0.0)))
    inner = np.abs(part.neutral[:, 0]) < 0.03
    half = replace(part, triangles=part.triangles[inner[part.triangles].all(axis=1)])
    np.testing.assert_allclose(ssme(truth, half, horizons=3).per_horizon["face"], [1.0, 2.0, 3.0], atol=1e-3)


def test_a_region_that_is_never_seen_and_a_horizon_beyond_the_end_have_no_score() -> None:
    truth = sequence()
    hidden = replace(truth, regions={**truth.regions, "ears": np.zeros(len(truth.neutral), bool)})
    result = ssme(hidden, truth, horizons=20)
    assert np.isnan(result.mean["ears"])
    assert np.isfinite(result.per_horizon["face"][:11]).all()
    assert np.isnan(result.per_horizon["face"][11:]).all()
    assert result.mean["face"] == 0


def test_worse_trackers_rank_worse() -> None:
    truth = sequence(_speaking(1.0))
    noise = np.random.default_rng(3).normal(size=truth.vertices.shape).astype(np.float32)
    frozen = replace(truth, vertices=np.repeat(truth.vertices[:1], truth.frame_count, axis=0))
    trackers = [
        sequence(_speaking(0.95)),
        sequence(_speaking(0.8)),
        sequence(_speaking(0.5)),
        frozen,
        replace(truth, vertices=-0.5 * truth.vertices + 1.5 * truth.vertices[:1]),  # moves the wrong way
    ]
    scores = [ssme(truth, tracker, horizons=10).mean["face"] for tracker in trackers]
    assert scores == sorted(scores)
    jitter = [ssme(truth, replace(truth, vertices=truth.vertices + s * noise), horizons=3).mean for s in (1e-4, 5e-4)]
    assert 0 < jitter[0]["face"] < jitter[1]["face"]


def test_sequences_that_cannot_be_compared_are_refused() -> None:
    truth = sequence()
    with pytest.raises(ValueError, match="12 frames and the prediction 20"):
        ssme(truth, sequence(_speaking(1.0)))
    with pytest.raises(ValueError, match="image is"):
        ssme(truth, replace(truth, image_size=(128, 128)))
    with pytest.raises(ValueError, match="none of the regions"):
        ssme(replace(truth, regions={}), truth)
    one = replace(truth, vertices=truth.vertices[:1], tracked=truth.tracked[:1], focal_px=truth.focal_px[:1])
    with pytest.raises(ValueError, match="two frames"):
        ssme(one, one)


def test_the_resting_patch_has_no_motion() -> None:
    assert ssme(sequence(still), sequence(still, 30, 30), horizons=3).mean["face"] == pytest.approx(0, abs=1e-4)
