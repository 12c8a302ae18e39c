"""Pictures read a second time: the same ones as the first time, whatever is asked for, and none twice in order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.footage import Footage
from backend.observations import PointSet, ViewAlignment
from backend.pipeline import read_again
from backend.pipeline.align_views import AlignedView
from backend.pipeline.open_views import open_views
from backend.pipeline.read_again import PicturesAgain
from protocol.messages import TrackJob, ViewSpec
from tests.backend.footage.clips import write_video

FRAMES = 24


def pictures() -> list[np.ndarray]:
    """Pictures of one grey each."""
    return [np.full((48, 64, 3), 10 * number, np.uint8) for number in range(FRAMES)]


def view_of(path: Path) -> AlignedView:
    unseen = PointSet.unseen(PointSet.of("m", *[np.zeros(0)] * 3).id, FRAMES, 1)
    return AlignedView(
        open_views(TrackJob((ViewSpec(str(path)),)))[0],
        ViewAlignment.of(unseen, image_size=(64, 48)),
        np.arange(FRAMES),
    )


@pytest.mark.parametrize("kind", ["video", "keys", "images"])
def test_every_picture_is_the_one_of_the_first_pass(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "images":
        for number, picture in enumerate(pictures(), 1):
            Image.fromarray(picture).save(tmp_path / f"shot_{number:03}.png")
        path = tmp_path / "shot_001.png"
    else:
        keys = {"g": "6", "bf": "2"} if kind == "keys" else {}
        path = write_video(tmp_path / "clip.mp4", pictures(), options={"crf": "8", **keys})
        monkeypatch.setattr(read_again, "REOPENS", 3)
    view = view_of(path)
    first = {frame.number: frame.image for frame in view.opened.footage}
    opened: list[int] = []
    whole = type(view.opened.footage).part

    def part(footage: Footage, frames: tuple[int, int]) -> Footage:
        opened.append(frames[0])
        return whole(footage, frames)

    monkeypatch.setattr(type(view.opened.footage), "part", part)
    with PicturesAgain(view) as again:
        for frame in (0, 9, 23, *range(FRAMES), 5, 5):
            np.testing.assert_array_equal(again.at(frame), first[frame + 1])
    # a video is read through unless decoding can begin nearer; of images none between is read at all
    assert opened == {"video": [1, 1, 6], "keys": [1, 10, 24, 1, 6], "images": [1, 10, 24, 1, 6]}[kind]


def test_a_picture_that_cannot_be_read_any_more_is_none(tmp_path: Path) -> None:
    for number, picture in enumerate(pictures(), 1):
        Image.fromarray(picture).save(tmp_path / f"shot_{number:03}.png")
    view = view_of(tmp_path / "shot_001.png")
    (tmp_path / "shot_003.png").write_bytes(b"no picture")
    with PicturesAgain(view) as again:
        assert again.at(2) is None
        assert again.at(5) is not None
