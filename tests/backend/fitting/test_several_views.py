"""Several cameras at once: a known performance of the open head, projected into three known cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.errors import UserError
from backend.fitting import EnergyWeights, FitOptions, FitResult, KnownCamera, View, fit_take
from backend.fitting.deformation import region_mask
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.observations import ViewAlignment
from backend.synthesis.performance import Performance, demo_performance
from tests.backend.fitting.observed import changed, view_of

NOISE_PX = 0.4

FRAMES = slice(0, 24)
FOCAL = (620.0, 700.0, 560.0)
SIZE = (512, 512)
EXACT = FitOptions(weights=EnergyWeights(repeated_bias=0.0), identity_components=100)


def rig() -> NDArray[np.float64]:
    """Three cameras (3,3,4) looking at the head from the front, the left and a little above on the right."""
    cameras = []
    for yaw, pitch in ((0.0, 0.0), (28.0, 0.0), (-22.0, 12.0)):
        turn = Rotation.from_euler("yx", [yaw, pitch], degrees=True).as_matrix()
        pivot = np.array([0.0, 0.0, 0.62])
        cameras.append(np.concatenate([turn, (pivot - turn @ pivot)[:, None]], axis=1))
    return np.stack(cameras)


@dataclass(frozen=True, eq=False)
class Known:
    head: HeadModel
    truth: Performance
    cameras: NDArray[np.float64]
    vertices: NDArray[np.float64]  # (T,V,3) world
    seen: tuple[ViewAlignment, ...]


def project(points: NDArray[np.float64], camera: NDArray[np.float64], focal: float) -> NDArray[np.float64]:
    inside = points @ camera[:, :3].T + camera[:, 3]
    return inside[..., :2] / inside[..., 2:] * focal + np.array(SIZE) / 2


def make_known(deformation: NDArray[np.float32] | None = None) -> Known:
    head = load_head("open")
    truth = demo_performance(head)
    neutral = head.neutral(truth.identity) + (0 if deformation is None else deformation)
    local = posed_vertices(head, neutral, truth.expression[FRAMES], truth.gaze[FRAMES]).astype(np.float64)
    rotation = Rotation.from_rotvec(truth.head_rotation[FRAMES]).as_matrix()
    vertices = local @ rotation.transpose(0, 2, 1) + truth.head_translation[FRAMES][:, None]
    points = surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)
    random, seen = np.random.default_rng(8), []
    for camera, focal in zip(rig(), FOCAL, strict=True):
        mu = project(points, camera, focal) + random.normal(scale=NOISE_PX, size=(*points.shape[:2], 2))
        sigma, valid = np.full(mu.shape[:2], NOISE_PX, np.float32), np.ones(mu.shape[:2], bool)
        seen.append(view_of("mediapipe478", mu, sigma, valid, SIZE, truth.frame_rate))
    return Known(head, truth, rig(), vertices, tuple(seen))


@pytest.fixture(scope="module")
def known() -> Known:
    return make_known()


def fitted_vertices(known: Known, fit: FitResult) -> NDArray[np.float64]:
    """(T,V,3) of the fit in its world."""
    neutral = known.head.neutral(fit.identity) + fit.deformation.astype(np.float32)
    local = posed_vertices(known.head, neutral, fit.expression, fit.gaze).astype(np.float64)
    return local @ fit.head_rotation.transpose(0, 2, 1) + fit.head_translation[:, None]


def face_error_mm(known: Known, fit: FitResult) -> float:
    """Mean distance of face vertices from the truth in the world."""
    face = known.head.regions["face"]
    return 1e3 * float(np.linalg.norm(fitted_vertices(known, fit) - known.vertices, axis=-1)[:, face].mean())


def calibrated(known: Known, unit: float = 1.0) -> list[View]:
    cameras = known.cameras.copy()
    cameras[:, :, 3] /= unit
    known_cameras = [KnownCamera(f, None, c) for f, c in zip(FOCAL, cameras, strict=True)]
    return [View(o, c) for o, c in zip(known.seen, known_cameras, strict=True)]


def test_calibrated_cameras_give_metric_truth(known: Known) -> None:
    fit = fit_take(known.head, calibrated(known), EXACT)
    assert face_error_mm(known, fit) < 0.5
    assert fit.reprojection_error_px.shape == (3, 24, 478)
    for camera, truth, focal in zip(fit.cameras, known.cameras, FOCAL, strict=True):
        assert np.allclose(camera.world_to_camera, truth, atol=1e-12)
        assert camera.focal_px == focal


@pytest.mark.slow
def test_unknown_cameras_are_found_up_to_the_gauge(known: Known) -> None:
    fit = fit_take(known.head, [View(o) for o in known.seen], EXACT)
    assert np.allclose(fit.cameras[0].world_to_camera, np.eye(3, 4), atol=1e-12)
    for camera, truth, focal in zip(fit.cameras, known.cameras, FOCAL, strict=True):
        turn = Rotation.from_matrix(camera.world_to_camera[:, :3] @ truth[:, :3].T)
        assert np.rad2deg(turn.magnitude()) < 0.5
        assert camera.focal_px == pytest.approx(focal, rel=0.04)
        place, true_place = (-c[:, :3].T @ c[:, 3] for c in (camera.world_to_camera, truth))
        assert np.linalg.norm(place - true_place) < 0.04 * 0.62


@pytest.mark.slow
def test_more_views_tell_more_of_the_shape(known: Known) -> None:
    truth = known.truth
    neutral = known.head.neutral(truth.identity)
    local = posed_vertices(known.head, neutral, truth.expression[FRAMES], truth.gaze[FRAMES])

    def shape_error(fit: FitResult) -> float:
        fitted = posed_vertices(known.head, known.head.neutral(fit.identity), fit.expression, fit.gaze)
        return float(np.linalg.norm(fitted - local, axis=-1)[:, known.head.regions["face"]].mean())

    alone = fit_take(known.head, [View(known.seen[0])], EXACT)
    joint = fit_take(known.head, [View(o) for o in known.seen], EXACT)
    assert shape_error(joint) < 0.9 * shape_error(alone), (shape_error(joint), shape_error(alone))


def test_a_calibration_of_unknown_scale_gets_its_scale_from_the_head(known: Known) -> None:
    unit = 0.037  # metres
    fit = fit_take(known.head, calibrated(known, unit), replace(EXACT, metric_cameras=False))
    between = np.stack([-c.world_to_camera[:, :3].T @ c.world_to_camera[:, 3] for c in fit.cameras])
    true = np.stack([-c[:, :3].T @ c[:, 3] for c in known.cameras])
    scale = np.linalg.norm(between[1] - between[2]) / np.linalg.norm(true[1] - true[2])
    assert scale == pytest.approx(1.0, abs=0.01)
    shape = (between - between[0]) / scale
    assert np.allclose(shape, true - true[0], atol=1e-9)  # one scale for all, nothing else moved


def test_a_view_may_miss_frames_and_an_unknown_camera_joins_a_calibrated_rig(known: Known) -> None:
    views = calibrated(known)
    late = changed(known.seen[2], valid=known.seen[2].valid.copy())
    late.valid[:15] = False
    gap = changed(known.seen[0], valid=known.seen[0].valid.copy())
    gap.valid[4:9] = False
    fit = fit_take(known.head, [View(gap, views[0].camera), views[1], View(late)], EXACT)
    assert fit.tracked.all()
    assert face_error_mm(known, fit) < 0.8
    turn = Rotation.from_matrix(fit.cameras[2].world_to_camera[:, :3] @ known.cameras[2][:, :3].T)
    assert np.rad2deg(turn.magnitude()) < 0.7


def test_views_that_never_meet_are_refused(known: Known) -> None:
    halves: Sequence[slice] = (slice(0, 12), slice(12, None))
    views = []
    for seen, lost in zip(known.seen[:2], halves, strict=True):
        valid = seen.valid.copy()
        valid[lost] = False
        views.append(View(changed(seen, valid=valid)))
    with pytest.raises(UserError, match="never shows the face in a frame synchronised"):
        fit_take(known.head, views, EXACT)


@pytest.mark.slow
def test_what_the_identity_basis_lacks_becomes_deformation() -> None:
    head = load_head("open")
    tip = head.template[head.regions["nose"]][:, 2].argmax()
    centre = head.template[head.regions["nose"]][tip]
    fall = np.exp(-((head.template - centre) ** 2).sum(1) / (2 * 0.012**2)) * region_mask(head, "nose")
    bump = (0.004 * fall[:, None] * np.array([1.0, 0.0, 0.0])).astype(np.float32)  # a crooked nose
    known = make_known(bump)
    views = calibrated(known)
    nose = region_mask(head, "nose")

    def nose_error(fit: FitResult) -> float:
        return float(np.linalg.norm(fitted_vertices(known, fit) - known.vertices, axis=-1)[:, nose].mean())

    weights = replace(EXACT.weights, deform=1.0)
    plain = fit_take(head, views, replace(EXACT, weights=weights))
    deformed = fit_take(head, views, replace(EXACT, weights=weights, deform_region="nose"))
    assert not plain.deformation.any()
    assert not deformed.deformation[~nose].any()
    assert nose_error(deformed) < 0.6 * nose_error(plain)


def test_a_known_neutral_pulls_the_identity(known: Known) -> None:
    """One frame with an open mouth tells little of the person; a neutral from elsewhere tells it (E_MICA)."""
    still = known.seen[0].at(np.arange(1))
    neutral = known.head.neutral(known.truth.identity)
    face = known.head.regions["face"]

    def neutral_error(fit: FitResult) -> float:
        return float(np.linalg.norm(known.head.neutral(fit.identity) - neutral, axis=1)[face].mean())

    options = FitOptions(identity_components=100)
    blind = fit_take(known.head, [View(still)], options)
    told = fit_take(known.head, [View(still)], options, neutral_prior=neutral)
    assert neutral_error(told) < 0.65 * neutral_error(blind)


def test_lids_that_were_seen_closed_close(known: Known) -> None:
    """An uncertain aligner's points leave a gap between closed lids; its word that they are closed counts more."""
    o, names = known.seen[0], known.head.expression_names
    o = changed(o, sigma=np.full_like(o.sigma, 6.0))
    blink = [names.index("eyeBlinkLeft"), names.index("eyeBlinkRight")]
    lids = np.zeros((24, 2), np.float32)
    lids[10:14, 0] = 1
    opened = fit_take(known.head, [View(o)])
    closed = fit_take(known.head, [View(replace(o, lid_closure=lids))])
    assert (closed.expression[10:14, blink[0]] > opened.expression[10:14, blink[0]] + 0.05).all()
    assert np.abs(closed.expression[:8, blink] - opened.expression[:8, blink]).max() < 0.05
