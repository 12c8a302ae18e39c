"""Tension by hand: a square and a triangle that are pulled, pushed and turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.detail.tension import mesh_edges, tension

NEUTRAL = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0], [4, 0, 0], [9, 9, 9]], np.float64)


@dataclass
class Patch:
    """A square of two triangles, and a triangle beside it."""

    triangles: NDArray[np.int32]
    quads: NDArray[np.int32]


PATCH = Patch(np.array([[0, 1, 2], [0, 2, 3], [1, 4, 2]], np.int32), np.array([[0, 1]], np.int32))


def test_edges_are_those_of_quads_and_triangles() -> None:
    assert mesh_edges(PATCH).tolist() == [[0, 1], [0, 3], [1, 2], [1, 4], [2, 3], [2, 4]]
    halved = Patch(PATCH.triangles, np.zeros((0, 2), np.int32))
    assert mesh_edges(halved).tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 4], [2, 3], [2, 4]]


def test_tension_is_the_mean_over_the_edges_at_a_vertex() -> None:
    """The square's lower left corner goes half a step right: one edge 3/4 as long, one of length √4.25 for 2."""
    posed = NEUTRAL.copy()
    posed[0, 0] = 0.5
    down, up = 1.5 / 2 - 1, np.sqrt(4.25) / 2 - 1
    expected = [(down + up) / 2, down / 3, 0, up / 2, 0, 0]
    np.testing.assert_allclose(tension(posed, NEUTRAL, mesh_edges(PATCH)), expected, atol=1e-6)


def test_turning_and_moving_is_no_tension_and_growing_is() -> None:
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    posed = np.stack([NEUTRAL @ turn.T + 7, 1.25 * NEUTRAL, 0.5 * NEUTRAL])
    found = tension(posed, NEUTRAL, mesh_edges(PATCH))
    np.testing.assert_allclose(found[:, :5], np.repeat([[0], [0.25], [-0.5]], 5, axis=1), atol=1e-6)
    assert not found[:, 5].any()  # at no edge


def test_an_edge_of_no_length_is_neither() -> None:
    flat = NEUTRAL.copy()
    flat[4] = flat[1]
    assert np.isfinite(tension(NEUTRAL, flat, mesh_edges(PATCH))).all()
    assert tension(NEUTRAL, flat, mesh_edges(PATCH))[1] == 0  # its other edges are as long as they were
