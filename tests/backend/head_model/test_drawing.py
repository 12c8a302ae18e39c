"""Pictures of a head show the brows and lashes that scenes get, wherever the head is, and not the head's own strips."""

from dataclasses import replace

import numpy as np
import pytest

from backend.export.blender import head_geometry
from backend.head_model.appearance import GAMMA, mouth_light
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


def shades_of(head, drawing, name, turn=None):
    face = face_vertices(head, next(face for face in FACES if face.name == name))
    shown = drawing.vertices(face if turn is None else face @ turn.T + (0.1, -0.2, 0.7))
    return drawing.shades(shown)[:, 0]


def test_light_in_the_mouth_follows_the_lips(head, drawing):
    ends = np.cumsum([head.vertex_count, *(len(item.places()) for item in drawing.grown)])
    teeth = drawing.vertices(head.template)[ends[2] : ends[3]]
    front = ends[2] + np.flatnonzero(teeth[:, 2] > teeth[:, 2].max() - 0.002)
    shades = {name: shades_of(head, drawing, name) for name in ("smile with teeth", "O", "kiss", "shout")}
    seen = {name: np.median(shade[front]) for name, shade in shades.items()}
    assert seen["shout"] > seen["O"] > 2 * seen["kiss"], (
        "lips put forward round a small opening leave teeth in the dark"
    )
    assert seen["smile with teeth"] > 0.8
    outside = ~np.any([head.regions[name] for name in ("mouth_bag", "teeth", "tongue")], axis=0)
    assert (shades["O"][: head.vertex_count][outside] == 1).all() and (shades["O"][ends[0] : ends[2]] == 1).all()
    turn = np.array([[0.8, 0, 0.6], [0, -1, 0], [0.6, 0, -0.8]])
    assert np.allclose(shades_of(head, drawing, "O", turn), shades["O"], atol=1e-3), "wherever the head is"


def test_a_tongue_that_is_out_is_lit(head, drawing):
    face = face_vertices(head, next(face for face in FACES if face.name == "tongue"))
    light = drawing.shades(drawing.vertices(face))[: head.vertex_count, 0] * mouth_light(head) ** (1 / GAMMA)
    tongue = head.regions["tongue"]
    ahead = face[:, 2] > face[head.regions["lips"], 2].max()
    assert (tongue & ahead).sum() > 20 and light[tongue & ahead].min() > 0.99
    assert mouth_light(head)[tongue & ahead].min() > 0.5, "in scenes, too, where it does not follow the lips"
