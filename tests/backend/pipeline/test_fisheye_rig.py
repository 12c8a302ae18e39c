"""A head seen through fisheye lenses is fitted where it is, by the calibration that OpenCV's own sample would write."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from skimage.io import imsave

from backend.cameras.calibration import cameras_for_views, load_calibration
from backend.cameras.distortion import distort
from backend.fitting import FitOptions, fit_take
from backend.head_model.model import posed_vertices, surface_positions
from backend.pipeline.align_views import AlignedView, view_warnings, views_to_fit
from backend.pipeline.open_views import open_views
from backend.pipeline.result import make_track
from backend.track.geometry import seen_vertices
from backend.track.io import load_track, save_track
from protocol.messages import DistortionModel, TrackJob, ViewSpec
from tests.backend.fitting import made_takes
from tests.backend.fitting.observed import view_of

WIDTH, HEIGHT = 800, 600
MATRIX = np.array([[420.0, 0, 400], [0, 424, 300], [0, 0, 1]])
TERMS = np.array([-0.02, 0.004, -0.002, 0.0005])
NAMES = ("left", "right")
PLACES = (np.array([-0.2, 0.0, 0.0]), np.array([0.2, 0.02, 0.0]))
TURNS = tuple(Rotation.from_euler("y", angle, degrees=True).as_matrix() for angle in (12.0, -10.0))
NEAR = made_takes.performance(1, degrees=(12.0, 4.0), distance=0.4)
OFF_AXIS = np.array([0.1, -0.12, 0.0])


def in_head(head):
    vertices = posed_vertices(head, head.neutral(NEAR.identity), NEAR.expression, NEAR.gaze).astype(np.float64)
    return surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)[0]


@pytest.fixture(scope="module")
def seen():
    """(2,1,478,2) what OpenCV's fisheye shows of the points, counted from the corner of the picture."""
    points = in_head(made_takes.head()) @ Rotation.from_rotvec(NEAR.head_rotation[0]).as_matrix().T
    world = points + NEAR.head_translation[0] + OFF_AXIS
    return np.stack(
        [
            cv2.fisheye.projectPoints((world[:, None]), cv2.Rodrigues(turn)[0], -turn @ place, MATRIX, TERMS)[
                0
            ].transpose(1, 0, 2)
            + 0.5
            for turn, place in zip(TURNS, PLACES, strict=True)
        ]
    )


def opened(folder, *, fisheye):
    for name, turn, place in zip(NAMES, TURNS, PLACES, strict=True):
        storage = cv2.FileStorage(str(folder / f"{name}.yml"), cv2.FILE_STORAGE_WRITE)
        sample = {"image_width": WIDTH, "image_height": HEIGHT, "fisheye_model": int(fisheye), "camera_matrix": MATRIX}
        for key, value in (sample | {"distortion_coefficients": TERMS, "R": turn, "T": -turn @ place}).items():
            storage.write(key, value)
        storage.release()
        imsave(folder / f"{name}.png", np.full((HEIGHT, WIDTH, 3), 90, np.uint8), check_contrast=False)
    paths = [(str(folder / f"{name}.png"), name) for name in NAMES]
    calibration = load_calibration([folder / f"{name}.yml" for name in NAMES], "m")
    cameras = cameras_for_views(calibration, paths)
    return open_views(TrackJob(tuple(ViewSpec(*path, camera=c) for path, c in zip(paths, cameras, strict=True))))


def aligned(views, seen):
    every = np.full((1, 478), 0.5, np.float32), np.ones((1, 478), bool)
    alignments = [view_of("mediapipe478", mu, *every, (WIDTH, HEIGHT)) for mu in seen]
    return [AlignedView(view, a, np.arange(1)) for view, a in zip(views, alignments, strict=True)]


def errors(fit):
    """Degrees by which the head is turned wrong, and the error of its place in percent of its distance."""
    turn = Rotation.from_matrix(fit.head_rotation[0]).inv() * Rotation.from_rotvec(NEAR.head_rotation[0])
    place = NEAR.head_translation[0] + OFF_AXIS
    return np.rad2deg(turn.magnitude()), 100 * np.linalg.norm(fit.head_translation[0] - place) / np.linalg.norm(place)


def test_a_fisheye_rig_is_fitted_where_a_pinhole_would_be_far_off(tmp_path, seen):
    views = aligned(opened(tmp_path, fisheye=True), seen)
    assert sum("fisheye lens" in warning for warning in view_warnings(views)) == 2
    fit = fit_take(made_takes.head(), views_to_fit(views, None), FitOptions())
    degrees, percent = errors(fit)
    assert degrees < 0.05 and percent < 0.05
    assert np.nanmean(fit.reprojection_error_px) < 0.05
    wrong = fit_take(
        made_takes.head(), views_to_fit(aligned(opened(tmp_path, fisheye=False), seen), None), FitOptions()
    )
    assert errors(wrong)[0] > 5 and errors(wrong)[1] > 10

    report = {key: {} for key in ("versions", "seconds", "options")} | {"aligner": "made", "metric_cameras": True}
    save_track(make_track(made_takes.head(), views, fit, report), tmp_path / "track.npz")
    track = load_track(tmp_path / "track.npz")
    assert [camera.distortion_model for camera in track.cameras] == [DistortionModel.FISHEYE] * 2
    assert track.cameras[0].distortion == tuple(TERMS)
    assert track.landmark_vertices.shape == (120, 3)
    for index, camera in enumerate(track.cameras):
        vertices = seen_vertices(made_takes.head(), track, np.arange(1), view=index)[0]
        points = np.einsum("nkc,nk->nc", vertices[track.landmark_vertices], track.landmark_barycentric)
        off = np.linalg.norm(points[:, :2] - camera.landmarks_px[0], axis=1)
        assert off.mean() < 0.1, "the pinhole that the track has sees them where they were seen"


def test_points_beyond_the_lens_are_not_used(tmp_path, seen):
    views = aligned(opened(tmp_path, fisheye=True), seen)
    far = seen.copy()
    far[0, 0, :7] = (400.5 + 420 * np.deg2rad(88), 300.5)
    fitted = views_to_fit(aligned([view.opened for view in views], far), None)
    assert fitted[0].alignment.point_sets[0].valid[0].tolist() == [False] * 7 + [True] * 471
    assert fitted[1].alignment.point_sets[0].valid.all()
    lens = views[0].opened.lens
    ideal = fitted[0].alignment.point_sets[0]
    np.testing.assert_allclose(distort(ideal.mu[0, 7:], lens), far[0, 0, 7:], atol=1e-3)
    assert (ideal.sigma[0, 7:] > 0.5).all(), "off the axis a fisheye's pixels are worth more than a pinhole's"
