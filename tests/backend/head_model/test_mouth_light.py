"""An open mouth is dark inside, in pictures of the head as in Blender."""

import numpy as np
import pytest

from backend.head_model.appearance import canonical_face, default_colors, face_coordinates, lip_share, mouth_light
from backend.head_model.faces import FACES, face_vertices
from backend.head_model.library import load_head
from backend.head_model.render import HeadRenderer, look_at_head


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def test_light_falls_off_behind_the_front_teeth_and_nowhere_else(head):
    light, depth = mouth_light(head), face_coordinates(head, head.template)[:, 2]
    inside = head.regions["mouth_bag"] | head.regions["teeth"] | head.regions["tongue"]
    assert (light[~inside] == 1).all() and 0 < light.min() < 0.1
    teeth = np.flatnonzero(head.regions["teeth"])
    teeth = teeth[np.argsort(-depth[teeth])]
    assert light[teeth[0]] == 1 and (np.diff(light[teeth]) <= 0).all(), "incisors are lit, molars are not"


def test_lips_are_lips_and_nothing_inside(head):
    share = lip_share(head)
    assert share[head.regions["lips"]].mean() > 0.6 and share[~head.regions["mouth"]].max() == 0
    assert share.min() >= 0 and share.max() == 1
    assert np.array_equal(canonical_face(head), face_coordinates(head, head.template))


def test_a_shout_shows_a_dark_mouth(head):
    shout = face_vertices(head, next(face for face in FACES if face.name == "shout"))
    mouth = shout[head.regions["lips"]].mean(axis=0)
    view = {"focal_px": 2000.0, "principal_point": (80.0, 80.0), "world_to_camera": look_at_head(0.8, 0, 0, mouth)}
    with HeadRenderer((160, 160)) as renderer:
        picture = renderer.render(shout, head.triangles, default_colors(head), **view)
        seen = renderer.surface(shout, head.triangles, **view).triangle
    corners = head.triangles[seen]
    bag, lips = (head.regions[name][corners].all(axis=-1) & (seen >= 0) for name in ("mouth_bag", "lips"))
    assert bag.sum() > 150
    assert picture[bag].mean() < 0.4 * picture[lips].mean()
