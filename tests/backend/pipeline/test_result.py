"""A track as the start of another fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.fitting import FitOptions, FitResult, Fixed, View, fit_take
from backend.pipeline.result import solution_of
from backend.track.io import load_track, save_track
from backend.track.types import CameraTrack, Track
from tests.backend.fitting.test_several_views import Known, make_known

pytestmark = pytest.mark.slow

OPTIONS = FitOptions(identity_components=30, deform_region="nose", tolerance=1e-7)


@pytest.fixture(scope="module")
def known() -> Known:
    return make_known()


@pytest.fixture(scope="module")
def whole(known: Known) -> FitResult:
    return fit_take(known.head, [View(seen) for seen in known.seen[:2]], OPTIONS)


def track_of(known: Known, fit: FitResult) -> Track:
    """What a job leaves of a fit, without what only its footage tells."""
    frames = len(fit.expression)
    numbers = np.arange(1, frames + 1)
    cameras = [
        CameraTrack(
            name=f"camera {index}",
            footage="/clip.mp4",
            footage_kind="video",
            footage_first_frame=1,
            footage_frame_count=frames,
            footage_rotation=0,
            image_size=known.seen[0].image_size,
            focal_px=np.full(frames, camera.focal_px),
            principal_point=np.array(camera.principal_point),
            world_to_camera=np.repeat(camera.world_to_camera[None], frames, axis=0),
        )
        for index, camera in enumerate(fit.cameras)
    ]
    return Track(
        head_id=known.head.id,
        head_hash=known.head.hash,
        identity=fit.identity.astype(np.float32),
        deformation=fit.deformation.astype(np.float32),
        expression=fit.expression.astype(np.float32),
        head_rotation=Rotation.from_matrix(fit.head_rotation).as_rotvec(),
        head_translation=fit.head_translation,
        gaze=fit.gaze.astype(np.float32),
        cameras=tuple(cameras),
        frames=numbers,
        scene_frames=numbers.astype(np.float64),
        times=numbers / 25.0,
        frame_rate=25.0,
        tracked=fit.tracked,
        reprojection_error_percent_iod=np.zeros(frames, np.float32),
    )


def test_a_fit_goes_on_from_the_file_of_a_track(known: Known, whole: FitResult, tmp_path: Path) -> None:
    save_track(track_of(known, whole), tmp_path / "track.npz")
    start = solution_of(load_track(tmp_path / "track.npz"), known.head)
    assert np.abs(whole.deformation).max() > 1e-5
    np.testing.assert_allclose(start.deformation, whole.deformation, atol=1e-7)
    views = [View(seen) for seen in known.seen[:2]]
    again = fit_take(known.head, views, OPTIONS, initial=start)
    assert again.iterations <= whole.iterations / 2
    assert again.energy[0] == pytest.approx(whole.energy[-1], rel=1e-3)
    assert (1 - 1e-3) * whole.energy[-1] < again.energy[-1] < (1 + 1e-4) * whole.energy[-1]


def test_a_tracks_frames_can_be_held(known: Known, whole: FitResult) -> None:
    start = solution_of(track_of(known, whole), known.head)
    held = np.arange(len(whole.expression)) % 2 == 0
    fixed = Fixed(frames=held, identity=True, cameras=True)
    again = fit_take(known.head, [View(seen) for seen in known.seen[:2]], OPTIONS, initial=start, fixed=fixed)
    np.testing.assert_array_equal(again.expression[held], start.expression[held])
    np.testing.assert_array_equal(again.identity, start.identity)
