"""The closest point of a mesh against measuring everything, and against a solver that knows nothing of triangles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import nnls

from backend.head_model.model import surface_positions
from backend.head_model.surface import MeshSurface, closest_allowed_points, closest_in_triangles

F64 = NDArray[np.float64]


def _soup(seed: int) -> tuple[F64, NDArray[np.int64], F64, F64]:
    """Triangles of very different size, many of them within reach of a point; points and their normals."""
    random = np.random.default_rng(seed)
    size = 10 ** random.uniform(-1.5, 0, (150, 1, 1))
    vertices = (random.uniform(-1, 1, (150, 1, 3)) + size * random.normal(size=(150, 3, 3))).reshape(-1, 3)
    normals = random.normal(size=(40, 3))
    return vertices, np.arange(450).reshape(150, 3), random.uniform(-1.5, 1.5, (40, 3)), normals


def _every_distance(vertices: F64, triangles: NDArray[np.int64], points: F64) -> F64:
    """(N,F)"""
    return np.sqrt(closest_in_triangles(points[:, None], vertices[triangles])[1])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), facing=st.booleans())
def test_the_closest_point_is_that_of_measuring_every_triangle(seed: int, facing: bool) -> None:
    vertices, triangles, points, normals = _soup(seed)
    surface = MeshSurface(vertices, triangles)
    found = surface.closest(points, surface.facing(normals) if facing else None)
    every = _every_distance(vertices, triangles, points)
    counts = normals @ surface.normals.T > 0 if facing else np.ones_like(every, bool)
    np.testing.assert_allclose(found.distance, np.where(counts, every, np.inf).min(axis=1), rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found.position - points, axis=1), found.distance, atol=1e-9)
    np.testing.assert_allclose(found.of(vertices, triangles), found.position, atol=1e-12)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_chosen_and_allowed_triangles_are_the_only_ones(seed: int) -> None:
    vertices, triangles, points, _ = _soup(seed)
    random = np.random.default_rng(seed)
    every = _every_distance(vertices, triangles, points)
    chosen, allowed = random.random(150) < 0.2, random.random(every.shape) < 0.2
    found = MeshSurface(vertices, triangles, chosen).closest(points)
    np.testing.assert_allclose(found.distance, np.where(chosen, every, np.inf).min(axis=1), rtol=1e-12)
    on = closest_allowed_points(points, vertices, triangles, allowed)
    reached = np.linalg.norm(surface_positions(on, triangles, vertices) - points, axis=1)
    np.testing.assert_allclose(reached, np.where(allowed, every, np.inf).min(axis=1), atol=1e-6)
    with pytest.raises(ValueError, match="no allowed triangle"):
        closest_allowed_points(points, vertices, triangles, allowed & (np.arange(40) != 7)[:, None])


@pytest.mark.parametrize("thinness", [1.0, 1e-3, 1e-8, 0.0])
def test_the_point_of_a_triangle_is_that_of_least_squares(thinness: float) -> None:
    """Barycentric weights are the non-negative ones that add up to 1 and come closest, slivers included."""
    random = np.random.default_rng(4)
    corners = random.normal(size=(60, 3, 3))
    share = random.uniform(-0.5, 1.5, (60, 1))
    on_edge = corners[:, 0] + share * (corners[:, 1] - corners[:, 0])
    corners[:, 2] = on_edge + thinness * (corners[:, 2] - on_edge)
    points = random.normal(size=(60, 3)) * 1.5
    weights, squared = closest_in_triangles(points, corners)
    assert weights.min() > -1e-12 and np.allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(np.einsum("nk,nkc->nc", weights, corners) - points, axis=1) ** 2, squared)
    for point, corner, distance in zip(points, corners, np.sqrt(squared), strict=True):
        add_up = 1e4
        best, _ = nnls(np.vstack([corner.T, np.full(3, add_up)]), np.append(point, add_up))
        assert distance == pytest.approx(np.linalg.norm(best / best.sum() @ corner - point), abs=1e-6)


def test_a_point_that_nothing_faces_has_no_closest_point() -> None:
    surface = MeshSurface(np.eye(3), np.array([[0, 1, 2]]))
    found = surface.closest(np.zeros((1, 3)), surface.facing(-surface.normals))
    assert found.triangle[0] == -1
    assert np.isinf(found.distance[0]) and np.isnan(found.position).all()
    with pytest.raises(ValueError, match="no finite triangle"):
        MeshSurface(np.full((3, 3), np.nan), np.array([[0, 1, 2]]))


def test_of_two_lips_that_nearly_touch_a_point_finds_its_own() -> None:
    """The nearer sheet faces the other way and loses; alone, it is found all the same."""
    sheet = np.array([[-1, -1, 0], [1, -1, 0], [0, 1, 0]], np.float64)
    vertices = np.concatenate([sheet, sheet + np.array([0, 0, 0.004])])
    lips = np.array([[0, 1, 2], [3, 5, 4]])  # facing up and down
    above, up = np.array([[0, 0, 0.003]]), np.array([[0, 0, 1.0]])
    both = MeshSurface(vertices, lips)
    assert both.closest(above).triangle[0] == 1
    found = both.closest_nearby(above, up)
    assert found.triangle[0] == 0 and found.distance[0] == pytest.approx(0.003)
    assert MeshSurface(vertices, lips[1:]).closest_nearby(above, up).distance[0] == pytest.approx(0.001)
