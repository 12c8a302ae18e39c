"""A job's texture: made from its footage, a file of its folder, and part of the take that Blender gets."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.observations import PointSet, ViewAlignment
from backend.pipeline.align_views import AlignedView
from backend.pipeline.open_views import open_views
from backend.pipeline.paint_skin import paint_or_say, paint_skin, pictures_of
from backend.server.result import load_take
from backend.texture.skin_atlas import skin_atlas
from backend.track.io import save_track
from protocol.fields import to_plain
from protocol.messages import TrackJob, ViewSpec
from tests.backend.texture.painted import SIZE, person, picture, turning

SIDE, FILE = 512, "texture.png"


@pytest.mark.slow
def test_the_take_that_blender_gets_wears_its_footage(tmp_path):
    head, track = load_head("open"), turning(np.array([-0.4, 0.0, 0.4]))
    encode_evenly(tmp_path / "clip.mp4", [picture(track, head, t, person()) for t in range(3)], 2)
    spec = TrackJob((ViewSpec(str(tmp_path / "clip.mp4"), "camera"),))
    unseen = PointSet.of("m", np.zeros((3, 1, 2), np.float32), np.ones((3, 1), np.float32), np.zeros((3, 1), bool))
    view = AlignedView(open_views(spec)[0], ViewAlignment.of(unseen, image_size=SIZE), np.arange(3))
    asked = [frame for frame, _ in pictures_of([view])(0, [0, 2])]
    assert asked == [0, 2]
    told = paint_skin(
        track, head, [view], tmp_path / FILE, on_progress=lambda _: None, should_cancel=lambda: False, side=SIDE
    )
    assert told == {"file": FILE, "side": SIDE, "pictures": 3}
    (tmp_path / "spec.json").write_text(json.dumps(to_plain(spec)))
    save_track(track, tmp_path / "track.npz")
    (tmp_path / "report.json").write_text(json.dumps(told))
    take = load_take(tmp_path, "clip")
    skin = cv2.imdecode(take.texture, cv2.IMREAD_COLOR)[..., ::-1]
    face = skin_atlas(head, SIDE).picture(head.regions["nose"].astype(np.float32)[:, None])[..., 0] > 0.9
    known = cv2.resize(person(), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    assert np.abs(skin[face].astype(int) - known[face]).mean() < 8
    blocked = tmp_path / "blocked.png"
    (blocked / "in it").mkdir(parents=True)
    told, said = paint_or_say(track, head, [view], blocked, on_progress=lambda _: None, should_cancel=lambda: False)
    assert told is None and len(said) == 1 and "skin could not be painted" in said[0], "the take is kept"
    (tmp_path / FILE).unlink()
    assert load_take(tmp_path, "clip").texture.size == 0
