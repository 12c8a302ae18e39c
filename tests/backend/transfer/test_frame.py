"""The face is found whichever way a mesh lies and whatever its unit is, or by the points that a user gives."""

import numpy as np
import pytest

from backend.alignment.landmarks.plain_mesh import still_face_mesh
from backend.errors import UserError
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from backend.head_model.registration.parts import pieces_of
from backend.head_model.rigid import Similarity
from backend.transfer.eyes import find_eyes
from backend.transfer.frame import NUMBERS, find_frame
from backend.transfer.types import TargetMesh, checked


@pytest.fixture(scope="module")
def open_head():
    return load_head("open")


def laid(open_head, rows, scale):
    """The open head with its axes along ``rows``, and the similarity that brought it there."""
    move = Similarity(scale, np.array(rows, np.float64).T, np.array([40.0, -3.0, 7.0]) * scale)
    return move, TargetMesh(move.apply(open_head.template), open_head.triangles)


def frame_of(open_head, mesh):
    pieces = pieces_of(mesh.triangles, len(mesh.vertices))
    return find_frame(checked(mesh), pieces, find_eyes(mesh.vertices, pieces), open_head, still_face_mesh)


@pytest.mark.parametrize(
    ("rows", "scale"),
    [
        pytest.param(((1, 0, 0), (0, 0, 1), (0, -1, 0)), 100.0, id="Blender's axes, in centimetres"),
        pytest.param(
            ((0, 0, -1), (0, 1, 0), (1, 0, 0)), 0.02, id="y up, looking along x, tiny", marks=pytest.mark.slow
        ),
    ],
)
def test_the_face_is_found_however_it_lies(open_head, rows, scale):
    move, mesh = laid(open_head, rows, scale)
    frame = frame_of(open_head, mesh)
    back = frame.to_head.apply(move.apply(open_head.template))
    assert np.linalg.norm(back - open_head.template, axis=1).mean() < 0.008
    assert frame.to_head.scale * scale == pytest.approx(1, abs=0.06)
    skin = open_head.regions["skin"]
    assert np.array_equal(frame.skin & skin, skin)


def test_points_by_hand_do_without_a_face_that_is_recognised(open_head):
    move, mesh = laid(open_head, ((0, 1, 0), (-1, 0, 0), (0, 0, 1)), 5.0)
    marks = surface_positions(open_head.landmarks["mediapipe478"], open_head.triangles, open_head.template)
    points = {name: move.apply(marks[number]) for name, number in NUMBERS.items()}
    frame = frame_of(open_head, TargetMesh(mesh.vertices, mesh.triangles, points))
    back = frame.to_head.apply(mesh.vertices)
    assert np.linalg.norm(back - open_head.template, axis=1).max() < 1e-4
    assert np.isfinite(frame.given.position[list(NUMBERS.values())]).all()


def test_where_no_face_is_seen_the_sentence_says_what_to_mark(open_head):
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    rings = [np.stack([np.cos(angle), np.sin(angle), np.full(40, z)], axis=1) for z in np.linspace(0, 3, 30)]
    corner = np.arange(30 * 40).reshape(30, 40)
    a, b, c = corner[:-1].ravel(), np.roll(corner, -1, axis=1)[:-1].ravel(), corner[1:].ravel()
    up, forward = np.array([0.0, 0, 1]), np.array([0.0, -1, 0])
    tube = TargetMesh(np.concatenate(rings), np.stack([a, b, c], axis=1), {}, up, forward)
    with pytest.raises(UserError, match="No face was found") as failure:
        frame_of(open_head, tube)
    assert "nose tip" in failure.value.hint


def test_points_on_one_line_guide_nothing(open_head):
    points = {name: np.array([float(n), 0, 0]) for n, name in enumerate(NUMBERS)}
    with pytest.raises(UserError, match="one line"):
        frame_of(open_head, TargetMesh(open_head.template, open_head.triangles, points))


def test_eyeballs_are_found_and_lashes_are_none(open_head):
    eyes = find_eyes(open_head.template.astype(np.float64), pieces_of(open_head.triangles, open_head.vertex_count))
    found = eyes.masks[0] | eyes.masks[1]
    assert np.array_equal(found, open_head.regions["left_eyeball"] | open_head.regions["right_eyeball"])


def test_an_eyeball_whose_cornea_bulges_is_one(open_head):
    vertices = open_head.template.astype(np.float64)
    ball = open_head.regions["left_eyeball"] | open_head.regions["right_eyeball"]
    front = ball & (vertices[:, 2] > 0.013)
    vertices[front, 2] += 0.7 * (vertices[front, 2] - 0.013)
    eyes = find_eyes(vertices, pieces_of(open_head.triangles, open_head.vertex_count))
    assert np.array_equal(eyes.masks[0] | eyes.masks[1], ball)
