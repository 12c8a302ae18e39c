"""Rendered heads with known wrinkles: what is found is like them, and neither smooth skin nor painted moles get any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.detail.displace import displaced_normals, with_tension
from backend.detail.frames import choose_frames
from backend.detail.make import make_wrinkles
from backend.detail.skin import skin_patch, wrinkling
from backend.detail.types import Wrinkles
from backend.errors import Cancelled
from backend.evaluation.wrinkles.film import Film, Studio, act
from backend.evaluation.wrinkles.hair import beside_hair, brow_hair, hair_slides
from backend.evaluation.wrinkles.measure import measure
from backend.evaluation.wrinkles.sculpt import sculpt
from backend.head_model.library import load_head
from backend.head_model.render import vertex_normals
from backend.texture.skin_atlas import skin_atlas

STUDIO = Studio(side=320, zoom=3.0, fine=1)
FRAMES, SIDE = 9, 256


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def filmed(head):
    sculpture = sculpt(head, 2 * SIDE)
    track = act(head, STUDIO, FRAMES, turn=0.15)
    film = Film(track, head, sculpture.wrinkles, STUDIO)
    return sculpture, track, [film.picture(frame) for frame in range(FRAMES)]


def told(head, track, pictures, side=SIDE, **how):
    return make_wrinkles(track, head, lambda _view, frames: ((f, pictures[f]) for f in frames), side=side, **how)


def test_known_wrinkles_are_found_and_neither_smooth_skin_nor_moles_get_any(head, filmed):
    sculpture, track, pictures = filmed
    done = []
    found, report = told(head, track, pictures, on_progress=done.append)
    assert report.pictures == FRAMES and done == sorted(done) and done[-1] == 1
    figures = measure(found, sculpture, track, head)
    assert figures.correlation > 0.75 and 0.2 < figures.slope < 1.1
    assert figures.smooth_p95_mm < 0.02 and figures.moles_mm < 0.02
    assert figures.normals < 0.75, "their error falls by a quarter at least"
    assert not found.base[found.seen == 0].any() and not found.compression[found.seen == 0].any()
    assert found.seen.min() >= 0 and found.seen.max() <= 1
    nape = skin_atlas(head, SIDE).picture((head.template[:, 2] < -0.1).astype(np.float32)[:, None])[..., 0] > 0.9
    assert nape.sum() > 500 and not found.seen[nape].any()


def test_painted_brow_hair_is_dark_beside_brows_alone_and_lies_lower_as_they_frown(head, filmed):
    sculpture, track, bare = filmed
    film, hair = Film(track, head, sculpture.wrinkles, STUDIO), brow_hair(head, 2 * SIDE)
    near = beside_hair(hair, film.texel_mm)
    assert 0.002 < near.mean() < 0.05 and not (near & sculpture.moles).sum() > 20
    plain, hairy = (picture.astype(int) for picture in film.with_hair(2, hair))
    darker = (plain - hairy).max(axis=-1)
    assert np.array_equal(plain, bare[2]) and (darker > 40).sum() > 100 and (darker > 5).mean() < 0.03
    raised, frowned = (track.expression[:, head.expression_names.index(of)] for of in ("browInnerUp", "browDownLeft"))
    down = hair_slides(track, head.expression_names)[:, 1]
    assert down[frowned.argmax()] == pytest.approx(1.5, abs=0.9) and down[frowned.argmax()] > down[raised.argmax()] + 1


def test_a_still_face_in_still_light_tells_of_none_and_it_is_said(head, filmed):
    _, track, pictures = filmed
    still = replace(
        track,
        expression=np.repeat(track.expression[:1], FRAMES, axis=0),
        head_rotation=np.repeat(track.head_rotation[:1], FRAMES, axis=0),
        head_translation=np.repeat(track.head_translation[:1], FRAMES, axis=0),
        tracked=np.arange(FRAMES) < 6,
    )
    found, report = told(head, still, [pictures[0]] * FRAMES, SIDE // 2)
    assert found is None
    assert len(report.said) == 2 and "left to the texture" in report.said[0] and "come and go" in report.said[1]


def test_too_few_pictures_are_said_and_it_can_be_cancelled(head, filmed):
    _, track, pictures = filmed
    found, report = make_wrinkles(track, head, lambda _view, frames: ((f, pictures[f]) for f in frames[:2]), side=SIDE)
    assert found is None and report.said == ("Too few pictures tell of wrinkles: 2 can be used, 6 are needed.",)
    with pytest.raises(Cancelled):
        told(head, track, pictures, should_cancel=lambda: True)


def test_pictures_are_chosen_at_rest_and_at_both_extremes(head):
    track = act(head, STUDIO, 60, turn=0.0)
    raised = track.expression[:, head.expression_names.index("browInnerUp")]
    frowned = track.expression[:, head.expression_names.index("browDownLeft")]
    chosen = [frame for _, frame in choose_frames(track, head, wrinkling(head), 6)]
    assert chosen == sorted(set(chosen)) and len(chosen) == 6
    assert raised[chosen].max() > 0.9 and frowned[chosen].max() > 0.9


def test_normals_bend_as_the_displacement_slopes(head):
    """A map that is each place's height over the floor leans normals against what of that is tangential."""
    side = 512
    atlas = skin_atlas(head, side)
    vertices = head.template.astype(np.float64)
    height = atlas.picture(0.1 * head.template[:, 1:2])[..., 0]
    normal = vertex_normals(vertices, head.triangles)
    up = np.array([0, 0.1, 0])
    expected = normal - (up - normal * (normal @ up)[:, None])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    inner = skin_patch(head, side).whole(skin_patch(head, side).share) == 1
    off = displaced_normals(head, atlas, vertices, height)[inner] - atlas.picture(expected)[inner]
    assert inner.sum() > 20_000
    assert np.median(np.linalg.norm(off, axis=1)) < 0.01, "the bend itself is 0.1"


def test_tension_adds_each_map_where_it_is_of_its_sign(head):
    flat = np.full((64, 64), 1.0, np.float32)
    wrinkles = Wrinkles(1e-3 * flat, 2e-3 * flat, 4e-3 * flat, flat)
    atlas = skin_atlas(head, 64)
    for tension, expected in ((0.0, 1e-3), (0.5, 2e-3), (-0.5, 3e-3)):
        depth = with_tension(wrinkles, atlas, np.full(head.vertex_count, tension))
        np.testing.assert_allclose(depth[atlas.covered], expected, rtol=1e-5)
