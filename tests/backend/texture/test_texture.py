"""A head in known colours is filmed; its texture has these colours where it was seen, and none that are not skin's."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from backend.cameras.distortion import Lens, distort, undistort
from backend.errors import Cancelled
from backend.head_model.library import load_head
from backend.texture.choose_frames import choose_frames
from backend.texture.make import make_texture, posed_head
from backend.texture.observe import observe
from backend.texture.skin_atlas import skin_atlas
from backend.track.geometry import neutral_of
from tests.backend.texture.painted import GREEN, SIZE, WALL, person, picture, turning

SIDE = 512


@pytest.fixture(scope="module")
def head():
    return load_head("open")


def made(head, track, change=lambda frame, image: image):  # noqa: ARG005
    texture = make_texture(
        track,
        head,
        lambda view, frames: ((t, change(t, picture(track, head, t, person()))) for t in frames if view == 0),
        side=SIDE,
    )
    assert texture is not None
    return texture


def psnr(texture, where):
    off = texture.picture[where].astype(float) - person()[where]
    return 10 * np.log10(255**2 / np.mean(off**2))


def near(picture, color, where, reach=70):
    return (np.abs(picture[where].astype(int) - color).max(axis=-1) < reach).mean()


@pytest.fixture(scope="module")
def around(head):
    track = turning(np.array([-0.6, -0.3, 0.0, 0.3, 0.6]))
    return made(head, track)


@pytest.mark.slow
def test_seen_skin_has_its_colours_and_nothing_else_is_on_it(head, around):
    outer = skin_atlas(head, SIDE).outer
    assert around.picture.shape == (SIDE, SIDE, 3) and len(around.frames) == 5
    assert psnr(around, outer & (around.seen > 0.9)) > 40
    assert near(around.picture, GREEN, outer) < 1e-4 and near(around.picture, WALL, outer) == 0
    assert around.picture[outer].min() > 40, "no hole is left"


@pytest.mark.slow
def test_what_no_picture_shows_is_not_taken_from_any(head, around):
    atlas = skin_atlas(head, SIDE)
    back = atlas.picture((head.template[:, 2] < -0.13).astype(np.float32)[:, None])[..., 0] > 0.9
    assert back.sum() > 1000 and around.seen[back].max() == 0
    assert not around.seen[~atlas.outer].any()
    filled = around.picture[back & atlas.outer].astype(float)
    assert np.abs(filled.mean(axis=0) - person()[atlas.outer].mean(axis=0)).max() < 25, "it is skin"
    assert filled.std(axis=0).max() < 12, "and plain"


@pytest.mark.slow
def test_the_unseen_side_is_the_mirror_of_the_other(head):
    texture = made(head, turning(np.array([0.75])))
    outer, seen = skin_atlas(head, SIDE).outer, texture.seen
    mirrored = outer & (seen < 0.01) & (seen[:, ::-1] > 0.9)
    assert mirrored.sum() > 3000
    assert psnr(texture, mirrored) > 27


@pytest.mark.slow
def test_a_hand_and_another_exposure_leave_no_trace(head, around):
    def change(frame, image):
        image = image.copy()
        if frame == 2:
            image[170:260, 150:230] = (10, 10, 10)
        return (image * 0.75).astype(np.uint8) if frame == 3 else image

    texture = made(head, turning(np.array([-0.6, -0.3, 0.0, 0.3, 0.6])), change)
    seen = skin_atlas(head, SIDE).outer & (texture.seen > 0.9) & (around.seen > 0.9)
    assert near(texture.picture, (10, 10, 10), seen, 50) == 0
    assert psnr(texture, seen) > 27


def test_pictures_from_all_sides_are_chosen_and_calm_ones_before_others(head):
    track = turning(np.linspace(-0.7, 0.7, 10))
    chosen = [frame for _, frame in choose_frames(track, head, 3)]
    assert chosen == sorted(chosen) and len(chosen) == 3
    assert chosen[0] <= 2 and chosen[-1] >= 7
    still = turning(np.zeros(10))
    actions = np.zeros((10, len(still.action_names)), np.float32)
    actions[:, :] = np.where(np.arange(10) == 6, 0.0, 0.2)[:, None]
    assert choose_frames(replace(still, actions=actions), head, 1) == [(0, 6)]
    assert choose_frames(replace(still, tracked=np.zeros(10, bool)), head) == []


def test_without_pictures_there_is_none_and_it_can_be_cancelled(head):
    track = turning(np.zeros(2))
    assert make_texture(track, head, lambda _view, _frames: iter(()), side=SIDE) is None
    with pytest.raises(Cancelled):
        make_texture(
            track,
            head,
            lambda _view, frames: ((t, np.zeros((400, 400, 3), np.uint8)) for t in frames),
            side=SIDE,
            should_cancel=lambda: True,
        )


def test_a_head_that_is_partly_beyond_the_lens_keeps_its_detail(head):
    track, atlas = turning(np.zeros(1)), skin_atlas(head, SIDE)
    face = posed_head(track, head, 0, 0, neutral_of(head, track))
    lens = Lens(face.focal_px, face.principal_point, 1.0, (-12.0, 0.0, 0.0, 0.0))
    beyond = np.isnan(distort(face.project(face.vertices), lens)).any(axis=1)
    assert 0 < beyond.mean() < 0.1
    centres = np.stack(np.meshgrid(*(np.arange(side) + 0.5 for side in SIZE)), axis=-1)
    places = np.asarray(undistort(centres, lens).points - 0.5, np.float32)
    bent = cv2.remap(picture(track, head, 0, person()), places, None, cv2.INTER_CUBIC)
    seen = observe(head, atlas, bent, replace(face, lens=lens))
    clear = seen.weight > 0.5
    assert clear.sum() > 20_000
    # grey levels: 0.6; 13.5 where points beyond the lens count as the head's extent in the picture
    assert np.abs(seen.color[clear].astype(float) - person()[clear]).mean() < 2
