"""The atlas is one-to-one: no folds, no overlaps, the face large and uncut."""

import numpy as np
import pytest

from backend.head_model.builder.flatten import boundary_loops, circle, flatten, signed_areas
from backend.head_model.library import load_head


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_no_triangle_is_flipped_or_empty(head):
    assert signed_areas(head.uv_vertices, head.uv_triangles).min() > 1e-8


@pytest.mark.slow
def test_no_two_triangles_overlap(head):
    rng = np.random.default_rng(0)
    points = rng.random((20_000, 2))
    hits = np.zeros(len(points), int)
    corners = head.uv_vertices[head.uv_triangles].astype(float)
    for a, b, c in corners:
        low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
        near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
        p = points[near]
        sides = [
            (q[0] - o[0]) * (p[:, 1] - o[1]) - (q[1] - o[1]) * (p[:, 0] - o[0]) for o, q in ((a, b), (b, c), (c, a))
        ]
        hits[near] += np.all([side > 0 for side in sides], axis=0)
    assert hits.max() == 1
    assert hits.mean() > 0.8, "little of the atlas is wasted"


def test_face_is_large_and_carries_no_seam(head):
    area = signed_areas(head.uv_vertices, head.uv_triangles)
    face = head.regions["face"][head.triangles].all(axis=1)
    assert area[face].sum() > 0.4
    used = np.unique(np.stack([head.triangles[face].ravel(), head.uv_triangles[face].ravel()], axis=1), axis=0)
    assert len(used) == len(np.unique(used[:, 0])), "each vertex of the face has one place in the atlas"


def test_vertex_uv_is_one_of_its_corners(head):
    assert head.uv.min() >= 0 and head.uv.max() <= 1
    nearest = np.full(len(head.uv), np.inf)
    for k in range(3):
        distance = np.abs(head.uv_vertices[head.uv_triangles[:, k]] - head.uv[head.triangles[:, k]]).max(axis=1)
        np.minimum.at(nearest, head.triangles[:, k], distance)
    assert nearest.max() < 1e-6


def test_left_is_right_in_the_mirror(head):
    skin = head.regions["face"]
    left = head.uv[skin & (head.template[:, 0] > 0.001)]
    right = head.uv[skin & (head.template[:, 0] < -0.001)]
    assert left[:, 0].min() > 0.5 > right[:, 0].max() or right[:, 0].min() > 0.5 > left[:, 0].max()
    assert left[:, 1].mean() == pytest.approx(right[:, 1].mean(), abs=1e-5)


def test_flatten_keeps_a_cap_of_a_sphere_whole():
    n, rings = 24, 10
    polar = np.linspace(0.0, 2.6, rings + 1)[1:]
    around = 2 * np.pi * np.arange(n) / n
    ring = [
        np.stack([np.sin(p) * np.cos(around), np.sin(p) * np.sin(around), np.full(n, np.cos(p))], axis=1) for p in polar
    ]
    positions = np.concatenate([[[0, 0, 1]], *ring])
    triangles = [[0, 1 + k, 1 + (k + 1) % n] for k in range(n)]
    for r in range(rings - 1):
        for k in range(n):
            a, b = 1 + r * n + k, 1 + r * n + (k + 1) % n
            triangles += [[a, a + n, b + n], [a, b + n, b]]
    triangles = np.array(triangles)
    (loop,) = boundary_loops(triangles)
    plane = flatten(triangles, positions, circle(n), loop, np.ones(len(positions)))
    area = signed_areas(plane, triangles)
    assert area.min() > 0
    corners = positions[triangles]
    surface = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    ratio = (area / area.sum()) / (surface / surface.sum())
    assert np.percentile(ratio, 95) / np.percentile(ratio, 5) < 4, "areas stay near their shares"
