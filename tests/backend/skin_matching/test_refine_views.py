"""From points as aligners see them to cameras as the pictures tell them, on a rendered head and on the scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import Cancelled
from backend.evaluation.rig import joint_record
from backend.evaluation.scan import read_scan
from backend.evaluation.trackers.flowface import SKIN_MATCHED, FlowFace
from backend.fitting import FitOptions, FitResult, KnownCamera, View, fit_take
from backend.skin_matching.refine_views import MatchedFit, ViewPictures, refine
from tests.backend.skin_matching.rendered import FOCAL, SIDE, Rig

pytestmark = pytest.mark.slow

RIG = Rig(((0.0, 0.0), (0.55, 0.1), (-0.5, -0.15)))
OPTIONS = FitOptions(deform_region="nose")


def pictures() -> ViewPictures:
    return ViewPictures(lambda view, _frame: RIG.pictures[view], [None] * 3)


@pytest.fixture(scope="module")
def biased() -> tuple[list[View], FitResult]:
    """Views whose points are off by 2 % of the inter-ocular distance, and their fit."""
    views = RIG.views(1.8)
    return views, fit_take(RIG.head, views, OPTIONS)


@pytest.fixture(scope="module")
def heard() -> list[float]:
    """The progress that ``matched`` reported."""
    return []


@pytest.fixture(scope="module")
def matched(biased: tuple[list[View], FitResult], heard: list[float]) -> MatchedFit:
    views, fit = biased
    found = refine(RIG.head, views, fit, OPTIONS, pictures(), on_progress=heard.append)
    assert found is not None
    return found


def turned(fit: FitResult, rig: Rig = RIG) -> NDArray[np.float64]:
    """Degrees by which the other cameras stand differently to the first one than they do."""
    found = np.stack([camera.world_to_camera[:, :3] for camera in fit.cameras])
    true = rig.world_to_camera[:, :, :3]
    relative = [Rotation.from_matrix(turns[1:] @ turns[0].T) for turns in (found, true)]
    return np.rad2deg((relative[0] * relative[1].inv()).magnitude())


@pytest.mark.slow
def test_cameras_come_from_the_skin(biased: tuple[list[View], FitResult], matched: MatchedFit) -> None:
    views, fit = biased
    assert turned(fit).max() > 1.0
    assert turned(matched.fit).max() < 0.5 * turned(fit).max() and turned(matched.fit).max() < 0.7
    focal = np.array([camera.focal_px for camera in matched.fit.cameras])
    np.testing.assert_allclose(focal, FOCAL, rtol=0.08)
    assert matched.well_constrained and (matched.keypoints > 150).all() and matched.residual_px < 0.4
    np.testing.assert_array_equal(matched.fit.cameras[0].world_to_camera, fit.cameras[0].world_to_camera)
    assert matched.fit.reprojection_error_px.shape == fit.reprojection_error_px.shape
    assert len(views[0].alignment.mu[0]) == matched.fit.reprojection_error_px.shape[2]


def test_known_cameras_stay_to_the_last_bit(biased: tuple[list[View], FitResult]) -> None:
    views, _ = biased
    known = [KnownCamera(FOCAL, (SIDE / 2, SIDE / 2), camera) for camera in RIG.world_to_camera]
    posed = [replace(view, camera=camera) for view, camera in zip(views, known, strict=True)]
    found = refine(RIG.head, posed, fit_take(RIG.head, posed, OPTIONS), OPTIONS, pictures())
    assert found is not None and found.well_constrained
    for camera, true in zip(found.fit.cameras, RIG.world_to_camera, strict=True):
        assert camera.focal_px == FOCAL
        np.testing.assert_allclose(camera.world_to_camera, true, atol=1e-12)


@pytest.mark.slow
def test_a_profile_that_the_aligner_took_for_less_of_a_turn_is_found() -> None:
    rig = Rig((*RIG.angles, (1.15, 0.0)))
    believed = Rig((*RIG.angles, (0.6, 0.0))).world_to_camera
    views = rig.views(1.0, believed)
    fit = fit_take(rig.head, views, OPTIONS)
    assert turned(fit, rig)[-1] > 20
    found = refine(rig.head, views, fit, OPTIONS, ViewPictures(lambda view, _: rig.pictures[view], [None] * 4))
    assert found is not None and found.keypoints.min() > 30
    assert turned(found.fit, rig).max() < 1.5


def test_two_views_leave_the_cameras_to_the_heads_shape(biased: tuple[list[View], FitResult]) -> None:
    views = biased[0][:2]
    found = refine(RIG.head, views, fit_take(RIG.head, views, OPTIONS), OPTIONS, pictures())
    assert found is not None and not found.well_constrained


def test_nothing_comes_of_skin_without_marks(biased: tuple[list[View], FitResult]) -> None:
    views, fit = biased
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    assert refine(RIG.head, views, fit, OPTIONS, ViewPictures(lambda *_: grey, [None] * 3)) is None
    assert refine(RIG.head, views, fit, OPTIONS, ViewPictures(lambda *_: None, [None] * 3)) is None


@pytest.mark.slow
@pytest.mark.usefixtures("matched")
def test_it_tells_how_far_it_is_and_can_be_stopped(biased: tuple[list[View], FitResult], heard: list[float]) -> None:
    views, fit = biased
    assert heard == sorted(heard) and heard[0] == 0 and 0.8 < heard[-1] <= 1
    for last in (0, len(heard) - 2):
        seen: list[float] = []
        with pytest.raises(Cancelled):
            refine(
                RIG.head,
                views,
                fit,
                OPTIONS,
                pictures(),
                on_progress=seen.append,
                should_cancel=lambda seen=seen, last=last: len(seen) > last,
            )
        assert len(seen) <= last + 2


def test_three_views_of_the_scan_tell_cameras_and_face(shared_data: Path, tmp_path: Path) -> None:
    """From the aligner's points alone: 4 to 8 degrees, 1.1 mm."""
    folder = shared_data / "scan" / "lee_perry_smith"
    scan = read_scan(folder)
    few = replace(scan, cameras=[scan.cameras[k] for k in (0, 1, 2)])
    record = joint_record(FlowFace(tmp_path), few.rig(folder), f"δ_d face{SKIN_MATCHED}")
    assert max(record["camera_rotation_deg"]) < 0.5
    assert max(record["camera_position_percent"]) < 3
    assert record["cd_mm"] < 0.8
    assert all(0.93 < ratio < 1.07 for ratio in record["focal_ratio"])
