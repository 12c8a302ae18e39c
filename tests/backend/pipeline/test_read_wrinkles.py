"""A job's wrinkles: a file of its folder, read from footage; what goes wrong is said, and does not cost the take."""

from __future__ import annotations

import numpy as np
import pytest

from backend.detail.io import load_wrinkles
from backend.errors import Cancelled
from backend.evaluation.wrinkles.film import Film, Studio, act
from backend.evaluation.wrinkles.sculpt import sculpt
from backend.footage.encode import encode_evenly
from backend.head_model.library import load_head
from backend.observations import PointSet, ViewAlignment
from backend.pipeline.align_views import AlignedView
from backend.pipeline.open_views import open_views
from backend.pipeline.read_wrinkles import read_or_say, read_wrinkles
from protocol.messages import TrackJob, ViewSpec

STUDIO = Studio(side=256, zoom=3.0, fine=1)
FRAMES, SIDE = 6, 128


def test_the_wrinkles_of_a_job_are_a_file_of_its_folder(tmp_path):
    head = load_head("open")
    track = act(head, STUDIO, FRAMES, turn=0.1)
    film = Film(track, head, sculpt(head, SIDE).wrinkles, STUDIO)
    encode_evenly(tmp_path / "clip.mp4", [film.picture(t) for t in range(FRAMES)], 12)
    spec = TrackJob((ViewSpec(str(tmp_path / "clip.mp4"), "camera"),))
    unseen = PointSet.of(
        "m", np.zeros((FRAMES, 1, 2), np.float32), np.ones((FRAMES, 1), np.float32), np.zeros((FRAMES, 1), bool)
    )
    size = (STUDIO.side, STUDIO.side)
    view = AlignedView(open_views(spec)[0], ViewAlignment.of(unseen, image_size=size), np.arange(FRAMES))
    path = tmp_path / "wrinkles.npz"
    how = {"on_progress": lambda _: None, "should_cancel": lambda: False}
    told = read_wrinkles(track, head, [view], path, side=SIDE, **how)
    assert (told["file"], told["side"], told["pictures"], told["none"]) == (path.name, SIDE, FRAMES, False)
    kept = load_wrinkles(path)
    assert kept.side == SIDE and kept.compression.any() and set(told["told"]) == {"base", "stretch", "compression"}
    with pytest.raises(Cancelled):
        read_or_say(track, head, [view], path, on_progress=lambda _: None, should_cancel=lambda: True)
    assert not path.exists(), "an earlier run's are not taken for this one's"
    (path / "in it").mkdir(parents=True)
    told = read_or_say(track, head, [view], path, **how)
    assert told["none"] and len(told["said"]) == 1 and "could not be read" in told["said"][0], "the take is kept"
