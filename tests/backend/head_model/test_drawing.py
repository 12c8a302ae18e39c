"""Pictures of a head show the brows and lashes that scenes get, wherever the head is, and not the head's own strips."""

from dataclasses import replace

import numpy as np
import pytest

from backend.export.blender import head_geometry
from backend.head_model.drawing import Drawing
from backend.head_model.faces import FACES, face_vertices
from backend.head_model.library import load_head

MM = 1000.0


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def drawing(head):
    return Drawing.of(head)


def test_a_picture_has_the_brows_and_lashes_of_the_scene(head, drawing):
    scene = head_geometry(head, head.template)
    shown = drawing.vertices(head.template)
    assert np.array_equal(shown[: head.vertex_count], head.template)
    assert np.abs(shown - scene.neutral).max() * MM < 0.01
    assert np.array_equal(np.unique(drawing.triangles[:, 0]), np.unique(scene.triangles[:, 0]))
    assert drawing.triangles.shape == drawing.corner_uv.shape[:2]
    replaced = head.regions["lashes"] | head.regions["teeth"]
    assert not replaced[drawing.triangles[drawing.triangles < head.vertex_count]].any()


def test_they_go_with_a_head_that_turns_and_moves_before_a_camera(head, drawing):
    half, share = np.cos(0.4), np.sin(0.4)
    turn = np.array([[half, 0, share], [0, -1, 0], [share, 0, -half]])  # into camera space, y down
    face = face_vertices(head, next(face for face in FACES if face.name == "blink looking down"))
    there = face @ turn.T + (0.1, -0.2, 0.7)
    expected = drawing.vertices(face) @ turn.T + (0.1, -0.2, 0.7)
    assert np.abs(drawing.vertices(there) - expected).max() * MM < 0.05
    lashes = drawing.vertices(face)[head.vertex_count :] - drawing.vertices(head.template)[head.vertex_count :]
    assert lashes[:, 1].min() * MM < -6, "lashes of a closed lid are down where it is"


def test_lashes_and_brows_are_drawn_dark_and_teeth_lit_from_the_front(head, drawing):
    side = len(drawing.texture)
    grown = (drawing.triangles >= head.vertex_count).all(axis=1)
    middle = drawing.corner_uv[grown].mean(axis=1)
    column, row = np.clip((middle * (side, -side) + (0, side)).T, 0, side - 1).astype(int)
    tone = drawing.texture[row, column].mean(axis=1)
    ends = np.cumsum([2 * len(grown.quads) for grown in drawing.grown])
    brows, lashes, teeth, _ = np.split(tone, ends[:-1])
    assert lashes.max() < 60 and np.median(brows) < 90, "each lash, and brows but for their rims"
    assert teeth.max() > 200 and np.quantile(teeth, 0.1) < 120, "front teeth are lit, back teeth less"


def test_a_head_of_another_atlas_is_drawn_as_it_is(head):
    moved = replace(head, uv_vertices=head.uv_vertices * np.float32(0.9))
    plain = Drawing.of(moved)
    assert np.array_equal(plain.triangles, head.triangles)
    assert np.array_equal(plain.vertices(head.template), head.template)
