"""Faces that a deformation turns over, on a flat grid."""

import numpy as np

from backend.transfer.faces import Faces

SIDE = 9


def grid():
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(SIDE * SIDE)], axis=1)
    corner = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    a, b, c, d = (part.ravel() for part in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    return vertices, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)


def test_a_vertex_that_is_pulled_across_its_neighbours_turns_faces_over_and_is_mended():
    vertices, triangles = grid()
    faces = Faces.of(vertices, triangles)
    offsets = np.zeros_like(vertices)
    middle = SIDE * SIDE // 2
    offsets[middle, 0] = 1.4
    over = faces.turned_over(offsets)
    assert over.any() and set(np.flatnonzero(over)) <= set(np.flatnonzero((triangles == middle).any(axis=1))) | set(
        np.flatnonzero((triangles == middle + 1).any(axis=1))
    )
    mended = faces.mended(offsets, np.zeros_like(offsets))
    assert not faces.turned_over(mended).any()
    far = np.abs(vertices - vertices[middle]).max(axis=1) > 2
    assert np.array_equal(mended[far], offsets[far])


def test_an_even_turn_and_a_bend_turn_nothing_over():
    vertices, triangles = grid()
    faces = Faces.of(vertices, triangles)
    turned = vertices @ np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
    assert not faces.turned_over(turned - vertices).any()
    bent = np.stack([vertices[:, 0], 3 * np.sin(vertices[:, 1] / 3), 3 * np.cos(vertices[:, 1] / 3)], axis=1)
    assert not faces.turned_over(bent - vertices).any() and not faces.folded(bent - vertices).any()


def test_a_face_drawn_together_has_collapsed():
    vertices, triangles = grid()
    offsets = np.zeros_like(vertices)
    a, b, c = triangles[40]
    offsets[b] = vertices[a] - vertices[b]
    assert Faces.of(vertices, triangles).turned_over(offsets)[40]
    assert c != a
