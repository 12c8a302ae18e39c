"""The raster against rays that are cast one by one, and against OpenGL."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.head_model.library import load_head
from backend.head_model.rasterise import Raster, rasterise
from backend.head_model.render import HeadRenderer
from backend.synthesis.performance import demo_performance, world_vertices

FOCAL, CENTRE, SIZE = 40.0, np.array([16.0, 12.0]), (32, 24)


def _raster(vertices: np.ndarray, triangles: np.ndarray, stride: int = 1) -> Raster:
    return rasterise(vertices, triangles, focal_px=FOCAL, principal_point=CENTRE, image_size=SIZE, stride=stride)


def _cast(vertices: np.ndarray, triangles: np.ndarray, position: np.ndarray) -> tuple[int, float, float]:
    """The first triangle on the ray through an image position, its depth, and how near the ray passes to an edge."""
    ray = np.array([*((position - CENTRE) / FOCAL), 1.0])
    first, depth, margin = -1, np.inf, np.inf
    for index, corners in enumerate(vertices[triangles]):
        try:
            weights = np.linalg.solve(corners.T, ray)
        except np.linalg.LinAlgError:
            continue
        weights /= np.abs(weights).sum()
        margin = min(margin, float(np.abs(weights).min()))
        if (weights >= 0).all():
            z = float((weights / weights.sum()) @ corners[:, 2])
            if z < depth:
                first, depth = index, z
    return first, depth, margin


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), stride=st.sampled_from([1, 2, 3]))
def test_every_sample_shows_what_its_ray_hits_first(seed: int, stride: int) -> None:
    random = np.random.default_rng(seed)
    vertices = random.uniform([-0.4, -0.3, 0.5], [0.4, 0.3, 1.5], (12, 3))
    triangles = random.permutation(12).reshape(4, 3)
    raster = _raster(vertices, triangles, stride)
    positions = raster.positions()
    assert raster.triangle.shape == positions.shape[:2] == (-(-24 // stride), -(-32 // stride))
    for row, column in random.integers(0, raster.triangle.shape, (60, 2)):
        index, depth, margin = _cast(vertices, triangles, positions[row, column])
        if margin < 1e-6:
            continue
        assert raster.triangle[row, column] == index
        if index >= 0:
            point = raster.barycentric[row, column] @ vertices[triangles[index]]
            assert point[2] == pytest.approx(depth, rel=1e-9)
            np.testing.assert_allclose(point[:2] / point[2] * FOCAL + CENTRE, positions[row, column], atol=1e-8)


def test_samples_on_a_shared_edge_are_covered() -> None:
    square = np.array([[-0.1, -0.1, 1], [0.1, -0.1, 1], [0.1, 0.1, 1], [-0.1, 0.1, 1]])
    square[:, :2] += 0.5 / FOCAL  # the diagonal then runs through pixel centres
    raster = _raster(square, np.array([[0, 1, 2], [0, 2, 3]]))
    assert raster.covered.sum() == 9 * 9  # 8 pixels wide, from centre to centre


def test_what_is_behind_the_camera_or_not_finite_is_left_out() -> None:
    vertices = np.array([[-1, -1, 1], [1, -1, 1], [0, 1, -0.1], [-1, -1, 1], [1, -1, 1], [0, np.nan, 1]])
    assert not _raster(vertices, np.array([[0, 1, 2], [3, 4, 5]])).covered.any()


def test_a_stride_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="stride is 0"):
        _raster(np.eye(3), np.array([[0, 1, 2]]), stride=0)


def test_it_sees_the_head_as_opengl_does() -> None:
    head = load_head()
    truth = demo_performance(head, frame_count=2, side=256, focal_px=350.0)
    vertices, point = world_vertices(head, truth)[0], truth.principal_point
    with HeadRenderer((256, 256)) as renderer:
        expected = renderer.surface(
            vertices,
            head.triangles,
            focal_px=350.0,
            principal_point=(float(point[0]), float(point[1])),
            world_to_camera=np.eye(4)[:3],
        )
    raster = rasterise(vertices, head.triangles, focal_px=350.0, principal_point=point, image_size=(256, 256))
    assert raster.covered.sum() > 5000
    assert np.mean(raster.triangle != expected.triangle) < 2e-3  # OpenGL snaps corners to 1/256 pixel
    depth = (raster.barycentric * vertices[head.triangles[raster.triangle]][..., 2]).sum(axis=-1)
    same = raster.covered & (raster.triangle == expected.triangle)
    np.testing.assert_allclose(depth[same], expected.depth[same], rtol=1e-3)
