"""Our tracker and MediaPipe's mesh on a rendered clip, and the triangulation that gives the baseline its surface."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from backend.errors import UserError
from backend.evaluation.mesh_landmarks import landmarks_px
from backend.evaluation.trackers.flowface import FlowFace, open_clip
from backend.evaluation.trackers.mediapipe_mesh import (
    MESH_POINTS,
    MediaPipeMesh,
    at_vertices,
    pseudo_perspective,
    smoothed,
    tesselation,
)
from backend.evaluation.types import MeshSequence
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.synthesis.clip import render_performance
from backend.synthesis.performance import Performance, demo_performance

pytestmark = pytest.mark.slow

FRAMES = 6


@pytest.fixture(scope="module")
def performance() -> Performance:
    return demo_performance(load_head("open"), frame_count=FRAMES)


@pytest.fixture(scope="module")
def clip(performance: Performance, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    pictures = render_performance(load_head("open"), performance)
    encode_evenly(path, pictures, performance.frame_rate)
    return path


@pytest.fixture(scope="module")
def true_landmarks(performance: Performance) -> np.ndarray:
    """(T,68,2) pixels."""
    from backend.synthesis.performance import world_vertices

    head = load_head("open")
    seen = surface_positions(head.landmarks["ibug68"], head.triangles, world_vertices(head, performance))
    return seen[..., :2] / seen[..., 2:] * performance.focal_px[:, None, None] + performance.principal_point


def inner_error_percent(mesh: MeshSequence, true_landmarks: np.ndarray) -> float:
    """Mean distance of the inner 51 landmarks in per cent of the outer eye corners' distance."""
    distance = np.linalg.norm(landmarks_px(mesh) - true_landmarks, axis=-1)[:, 17:].mean()
    return float(100 * distance / np.linalg.norm(true_landmarks[:, 36] - true_landmarks[:, 45], axis=-1).mean())


@pytest.mark.parametrize("single_image", [False, True])
def test_our_tracker_finds_the_rendered_head(
    clip: Path, true_landmarks: np.ndarray, tmp_path: Path, single_image: bool
) -> None:
    mesh = FlowFace(tmp_path).track(clip, single_image=single_image)
    assert mesh.vertices.shape == (FRAMES, load_head("open").vertex_count, 3)
    assert mesh.tracked.all()
    assert (mesh.neutral is None) == single_image
    assert inner_error_percent(mesh, true_landmarks) < 5.0


def test_single_images_do_not_know_of_each_other(clip: Path, tmp_path: Path) -> None:
    tracker = FlowFace(tmp_path)
    focal = tracker.track(clip, single_image=True).focal_px
    assert len(set(focal.round(3))) == FRAMES
    assert len(set(tracker.track(clip, single_image=False).focal_px)) == 1


def test_alignments_are_kept_and_read_again(clip: Path, tmp_path: Path) -> None:
    first = FlowFace(tmp_path).track(clip, single_image=False)
    (kept,) = tmp_path.glob("*.npz")
    before = kept.stat().st_mtime_ns
    again = FlowFace(tmp_path).track(clip, single_image=False)
    assert kept.stat().st_mtime_ns == before
    np.testing.assert_array_equal(first.vertices, again.vertices)


def test_an_even_sigma_is_the_clip_s_median_and_moves_the_fit(clip: Path, tmp_path: Path) -> None:
    told, even = FlowFace(tmp_path), FlowFace(tmp_path, even_sigma=True)
    assert (told.name, even.name) == ("flowface-mediapipe", "flowface-mediapipe-even-sigma")
    seen, same = told.observe(clip), even.observe(clip)
    np.testing.assert_array_equal(seen.mu, same.mu)
    assert np.unique(same.sigma).tolist() == [np.median(seen.sigma[seen.valid])]
    fits = [tracker.track(clip, single_image=False).vertices for tracker in (told, even)]
    assert np.abs(fits[0] - fits[1]).max() > 1e-4


@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_the_peer_sees_the_rendered_head(clip: Path, true_landmarks: np.ndarray, smoothing: float) -> None:
    tracker = MediaPipeMesh(smoothing)
    mesh = tracker.track(clip, single_image=False)
    assert mesh.vertices.shape == (FRAMES, MESH_POINTS, 3)
    assert inner_error_percent(mesh, true_landmarks) < 8.0
    right, left = tracker.pupils(mesh)[0]
    assert right[0] < left[0]


def test_a_picture_without_a_face_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "grey.mp4"
    encode_evenly(path, (np.full((128, 128, 3), 128, np.uint8) for _ in range(3)), 25.0)
    for tracker in (FlowFace(tmp_path / "cache"), MediaPipeMesh()):
        with pytest.raises(UserError) as caught:
            tracker.track(path, single_image=False)
        assert caught.value.code == "no_face"


def test_one_of_many_numbered_photographs_is_one_picture(shared_data: Path) -> None:
    path = shared_data / "scan" / "lee_perry_smith" / "view_04.jpg"
    footage = open_clip(path)
    (frame,) = list(footage)
    assert (footage.info.path, frame.number) == (path, 1)


def test_the_tesselation_is_a_surface() -> None:
    triangles = tesselation()
    directed = Counter((int(f[i]), int(f[(i + 1) % 3])) for f in triangles for i in range(3))
    assert len(triangles) == 852
    assert max(directed.values()) == 1, "two triangles run through an edge in the same direction"
    boundary = [edge for edge in directed if edge[::-1] not in directed]
    vertices = len(np.unique(triangles))
    edges = (len(directed) + len(boundary)) // 2
    # A disk with three holes (two eyes and the mouth) has Euler characteristic 1 − 3.
    assert (vertices, vertices - edges + len(triangles)) == (468, -2)


def test_the_tesselation_faces_the_camera(clip: Path) -> None:
    mesh = MediaPipeMesh().track(clip, single_image=False)
    corners = mesh.vertices[0][mesh.triangles].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = np.einsum("fc,fc->f", normal, corners.mean(axis=1)) < 0
    assert facing.mean() > 0.9


def test_the_pseudo_camera_shows_exactly_the_points() -> None:
    random = np.random.default_rng(1)
    points = random.uniform(0, 400, (3, MESH_POINTS, 3))
    tracked = np.array([True, False, True])
    mesh = pseudo_perspective(points, tracked, (400, 300), 30.0)
    np.testing.assert_allclose(mesh.image_positions(), points[..., :2], atol=1e-3)
    eyes = mesh.vertices[0, 33] - mesh.vertices[0, 263]
    assert 0.02 < np.linalg.norm(eyes) < 0.5


def test_smoothing_leaves_straight_motion_and_halves_jitter() -> None:
    frames = 400
    tracked = np.ones(frames, bool)
    straight = np.arange(frames, dtype=np.float64)[:, None, None] * np.ones((1, 2, 3))
    np.testing.assert_allclose(smoothed(straight, tracked, 1.5), straight, atol=1e-9)
    noise = np.random.default_rng(2).normal(size=(frames, 50, 3))
    # A Gaussian of σ frames leaves white noise 1/√(2 σ √π) of its size.
    assert smoothed(noise, tracked, 1.5).std() == pytest.approx(1 / np.sqrt(2 * 1.5 * np.sqrt(np.pi)), rel=0.03)


def test_smoothing_neither_uses_nor_invents_lost_frames() -> None:
    points = np.ones((9, 2, 3))
    tracked = np.arange(9) != 4
    points[4] = 1e6
    result = smoothed(points, tracked, 1.5)
    assert np.isnan(result[4]).all()
    np.testing.assert_allclose(result[tracked], 1.0)


def test_vertices_as_surface_points_are_those_vertices() -> None:
    triangles = tesselation()
    vertices = np.random.default_rng(4).normal(size=(468, 3))
    chosen = np.array([0, 4, 33, 263, 467])
    triangle, weights = at_vertices(chosen, triangles)
    np.testing.assert_allclose(np.einsum("nk,nkc->nc", weights, vertices[triangles[triangle]]), vertices[chosen])
    with pytest.raises(ValueError, match="no triangle"):
        at_vertices(np.array([468]), triangles)
