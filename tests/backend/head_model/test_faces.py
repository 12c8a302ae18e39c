"""Faces an animator asks for: made of ARKit's actions, each doing what its name says."""

import numpy as np
import pytest

from backend.head_model.faces import FACES, Face, face_vertices
from backend.head_model.library import load_head
from backend.head_model.model import surface_positions
from protocol.face_actions import ARKIT_ACTIONS

MM = 1000.0


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def face(name):
    return next(face for face in FACES if face.name == name)


def points(head, name):
    return surface_positions(head.landmarks["mediapipe478"], head.triangles, face_vertices(head, face(name))) * MM


def test_they_are_made_of_arkits_actions():
    assert len({face.name for face in FACES}) == len(FACES) >= 12
    for one in FACES:
        assert set(one.weights) <= set(ARKIT_ACTIONS)
        assert all(0 < weight <= 1 for weight in one.weights.values())
    assert Face("one", {"eyeBlink*": 0.5, "jawOpen": 1.0}).weights == {
        "eyeBlinkLeft": 0.5,
        "eyeBlinkRight": 0.5,
        "jawOpen": 1.0,
    }


def test_each_looks_like_its_name(head):
    calm = points(head, "neutral")
    assert np.allclose(calm, surface_positions(head.landmarks["mediapipe478"], head.triangles, head.template) * MM)
    width = {name: np.linalg.norm(points(head, name)[61] - points(head, name)[291]) for name in ("kiss", "neutral")}
    smile = points(head, "smile with teeth")
    assert width["kiss"] < width["neutral"] - 4 and (smile[[61, 291], 1] > calm[[61, 291], 1] + 2).all()
    openings = {name: np.subtract(*points(head, name)[[159, 145], 1]) for name in ("wide eyes", "squint", "neutral")}
    assert openings["squint"] < openings["neutral"] - 1 < openings["wide eyes"] - 2
    assert np.subtract(*points(head, "blink looking down")[[159, 145], 1]) < 1.5
    assert points(head, "looking down")[468, 1] < calm[468, 1] - 4, "the eyes turn, too"
    assert np.subtract(*points(head, "O")[[13, 14], 1]) > np.subtract(*calm[[13, 14], 1]) + 5
