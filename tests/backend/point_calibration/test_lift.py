"""Lifting MediaPipe's points from renders: the geometry is exact, and a new measurement gives the committed points."""

import numpy as np
import pytest

from backend.head_model import render
from backend.head_model.builder import landmarks
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.point_calibration import lift

FRONT = (4, 6, 9, 151, 199, 200, 50, 280, 205, 425, 0, 17)
"""Points of the nose, forehead, cheeks, chin and outer lips that every camera here sees."""


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_pixels_of_known_surface_points_lead_back_to_them(head):
    points = head.landmarks["mediapipe478"]
    expected = surface_positions(points, head.triangles, head.template)
    domains = landmarks.landmark_domains(head)
    shots = [shot for n, shot in enumerate(lift.shots(head)) if n in (0, 3, 9)]
    with render.HeadRenderer((lift.SIZE, lift.SIZE)) as renderer:
        for shot in shots:
            space = surface_positions(points, head.triangles, shot.vertices) @ shot.camera[:, :3].T + shot.camera[:, 3]
            pixels = space[:, :2] / space[:, 2:] * lift.FOCAL_PX + lift.CENTRE
            lens = {"focal_px": lift.FOCAL_PX, "principal_point": lift.CENTRE, "world_to_camera": shot.camera}
            ids = renderer.surface(shot.vertices, head.triangles, **lens).triangle
            found = lift._unproject(head, shot, pixels, ids, domains)
            assert np.linalg.norm(found - expected, axis=1)[list(FRONT)].max() < 5e-4, "a pixel is 0.65 mm"


def test_one_wild_answer_does_not_move_a_lifted_point():
    hits = np.random.default_rng(0).normal(scale=2e-4, size=(40, 478, 3))
    wild = hits.copy()
    wild[7] += 0.05
    wild[8] = np.nan
    assert np.abs(lift._robust_mean(wild) - lift._robust_mean(hits)).max() < 1e-4


@pytest.mark.build
def test_measuring_again_gives_the_committed_points(head):
    moved = np.linalg.norm(lift.lift(head) - landmarks.lifted_positions(), axis=1)
    assert np.median(moved) < 5e-5 and moved.max() < 5e-4, "MediaPipe repeats itself (measured: 0.01 and 0.31 mm)"
