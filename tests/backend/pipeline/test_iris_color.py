"""The irises' colour is read from pictures of rendered people with irises of known colours, and refused else."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from backend.head_model.appearance import Palette, paint_texture
from backend.head_model.library import load_head
from backend.head_model.model import posed_vertices
from backend.head_model.render import HeadRenderer
from backend.pipeline.iris_color import calm_frames, read_iris_color
from backend.track.geometry import neutral_of
from protocol.arrays import at_frames
from tests.blender.runners import performance

SIZE = (640, 480)
IRISES = {"brown": (0.36, 0.22, 0.12), "blue": (0.30, 0.45, 0.58), "green": (0.35, 0.42, 0.25)}


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def track(head):
    """Ten frames of a face at 50 cm that speaks, irises 8 pixels in radius."""
    take = performance("clip.mp4")
    expression = np.zeros_like(take.expression)
    expression[:, head.expression_names.index("jawOpen")] = np.linspace(0, 0.5, len(take.times))
    camera = replace(take.cameras[0], focal_px=np.full(len(take.times), 1000.0))
    return replace(take, expression=expression, cameras=(camera,), gaze=0.4 * take.gaze)


@lru_cache
def painted(head, palette):
    return paint_texture(head, palette=palette)


def seen(head, track, palette, frame, light=1.0):
    camera = track.cameras[0]
    one = posed_vertices(head, neutral_of(head, track), track.expression[[frame]], track.gaze[[frame]])[0]
    rotation = Rotation.from_rotvec(np.array(track.head_rotation[frame])).as_matrix()
    pose = np.concatenate([rotation, track.head_translation[frame][:, None]], axis=1)
    with HeadRenderer(SIZE) as renderer:
        picture = renderer.render(
            one,
            head.triangles,
            texture=painted(head, palette),
            corner_uv=head.uv_vertices[head.uv_triangles],
            focal_px=float(camera.focal_px[frame]),
            principal_point=tuple(camera.principal_point),
            world_to_camera=pose,
        )
    return (255 * (picture / 255) * light).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("color", IRISES.values(), ids=IRISES)
def test_it_is_read_whatever_the_light(color, head, track):
    light = (0.8, 0.6, 0.45) if color == IRISES["blue"] else (1.0, 1.0, 1.0)
    read = read_iris_color(track, head, lambda t: seen(head, track, Palette(iris=color), t, np.array(light)))
    assert np.abs(np.array(read) - color).max() < 0.08


def test_frames_with_open_eyes_that_look_at_the_camera_are_chosen(head, track):
    assert {side for _, sides in calm_frames(track, head) for side in sides} == {0, 1}
    expression = track.expression.copy()
    expression[:5, head.expression_names.index("eyeBlinkLeft")] = 0.6
    winking = calm_frames(replace(track, expression=expression), head)
    assert all(0 not in sides for frame, sides in winking if frame < 5) and any(0 in sides for _, sides in winking)
    aside = np.array(track.gaze)
    aside[:, :, 0] = 0.9
    assert calm_frames(replace(track, gaze=aside.astype(np.float32)), head) == []
    assert calm_frames(replace(track, tracked=np.zeros(len(track.times), bool)), head) == []


def test_nothing_is_said_of_small_irises_and_of_readings_that_differ(head, track):
    def told(take, picture):
        return read_iris_color(take, head, picture)

    far = replace(track, head_translation=track.head_translation * (1, 1, 3))
    assert told(far, lambda t: seen(head, far, Palette(), t)) == ()
    pictures = [
        seen(head, track, Palette(iris=iris), t) for t, iris in ((0, (0.1, 0.08, 0.06)), (1, (0.55, 0.65, 0.7)))
    ]
    calls = iter(pictures * 9)
    still = at_frames(track, np.zeros(len(track.times), int))
    assert told(replace(still, times=track.times), lambda _: next(calls)) == ()
    assert told(track, lambda _: None) == ()
    grey = np.full((*SIZE[::-1], 3), 128, np.uint8)
    assert told(track, lambda _: grey) == (), "an iris as bright as the white is none"
