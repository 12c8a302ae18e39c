"""Cameras by name, and sources of which only the newest picture is kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.errors import ErrorCode, UserError
from backend.footage.encode import encode_evenly
from backend.live.cli import live
from backend.live.sources import NewestPicture, find_camera, play_video
from backend.live.sources.cameras import Camera, cameras_of_linux
from backend.live.sources.newest import Arriving

BOTH = (Camera("HD Webcam", "/dev/video0"), Camera("HD Webcam (2)", "/dev/video2"), Camera("OBS", "/dev/video10"))


def listed(folder: Path, node: str, name: str, index: int) -> None:
    (folder / node).mkdir()
    (folder / node / "name").write_text(f"{name}\n")
    (folder / node / "index").write_text(f"{index}\n")


def test_cameras_of_one_name_are_told_apart_and_their_other_nodes_left_out(tmp_path: Path) -> None:
    listed(tmp_path, "video10", "OBS", 0)
    listed(tmp_path, "video2", "HD Webcam", 0)
    listed(tmp_path, "video0", "HD Webcam", 0)
    listed(tmp_path, "video1", "HD Webcam", 1)  # the first camera's metadata
    assert cameras_of_linux(tmp_path) == BOTH
    assert cameras_of_linux(tmp_path / "nothing") == ()


@pytest.mark.parametrize(
    ("name", "device"),
    [("", "/dev/video0"), ("obs", "/dev/video10"), ("HD Webcam", "/dev/video0"), ("(2)", "/dev/video2")],
)
def test_a_camera_is_found_by_its_name_or_a_part_of_it(name: str, device: str) -> None:
    assert find_camera(name, BOTH).device == device


@pytest.mark.parametrize(
    ("name", "cameras", "sentence"),
    [
        ("Brio", BOTH, "The camera “Brio” is not here; there are “HD Webcam”, “HD Webcam (2)”, “OBS”."),
        ("webcam", BOTH, "“webcam” may be any of “HD Webcam”, “HD Webcam (2)”."),
        ("Brio", (), "The camera “Brio” is not here: this machine has no camera."),
        ("", (), "No camera is here: this machine has no camera."),
    ],
)
def test_a_missing_camera_is_a_sentence(name: str, cameras: tuple[Camera, ...], sentence: str) -> None:
    with pytest.raises(UserError) as refused:
        find_camera(name, cameras)
    assert refused.value.code == ErrorCode.CAMERA_MISSING
    assert refused.value.message == sentence
    assert refused.value.hint


def gray(level: int) -> np.ndarray:
    return np.full((32, 48, 3), level, np.uint8)


class Camcorder:
    """Gives a picture each time it is told to."""

    def __init__(self) -> None:
        self._go, self._gave = threading.Semaphore(0), threading.Semaphore(0)
        self.count = 0

    def stream(self, stop: threading.Event) -> Iterator[Arriving]:
        while not stop.is_set():
            if not self._go.acquire(timeout=0.05):
                continue
            self.count += 1
            yield self.count / 10, gray(self.count)
            self._gave.release()

    def shoot(self, pictures: int) -> None:
        """Returns once all but the last of these were put where the newest is, and the last is on its way."""
        for _ in range(pictures):
            self._go.release()
        for _ in range(pictures):
            assert self._gave.acquire(timeout=5)


def test_the_newest_picture_takes_the_place_of_those_that_nobody_looked_at() -> None:
    camcorder = Camcorder()
    source = NewestPicture("made", camcorder.stream)
    assert source.latest(0, 0.01) is None
    camcorder.shoot(4)
    picture = source.latest(0, 5.0)
    assert picture is not None
    assert (picture.number, picture.time, int(picture.picture[0, 0, 0])) == (4, 0.4, 4)
    assert source.latest(4, 0.01) is None  # and nothing has queued up behind it
    camcorder.shoot(1)
    following = source.latest(4, 5.0)
    assert following is not None
    assert following.number == 5
    source.close()
    assert source.ended


def test_what_breaks_down_says_so_to_whoever_looks() -> None:
    def stream(_stop: threading.Event) -> Iterator[Arriving]:
        yield 0.0, gray(1)
        raise UserError(ErrorCode.CAMERA_UNREADABLE, "The camera “made” gives no pictures.")

    source = NewestPicture("made", stream)
    with pytest.raises(UserError, match="gives no pictures"):
        for after in range(3):
            source.latest(after, 5.0)
    assert not source.ended


def test_a_video_plays_once_at_its_own_times_or_goes_on_from_there(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    encode_evenly(clip, [gray(level) for level in (0, 60, 120, 180)], 50.0)
    played, after = [], 0
    source = play_video(clip, speed=0.5)
    while (picture := source.latest(after, 5.0)) is not None:
        after = picture.number
        played.append(picture)
    assert source.ended
    assert {picture.number: round(picture.time, 3) for picture in played}.items() <= {
        1: 0.0,
        2: 0.02,
        3: 0.04,
        4: 0.06,
    }.items()
    assert played[-1].number == 4  # the last one is there even for whoever looks late
    again = play_video(clip, loop=True, speed=20.0)
    picture = again.latest(5, 5.0)
    assert picture is not None
    assert picture.time == pytest.approx((picture.number - 1) * 0.02, abs=1e-3)
    assert not again.ended
    again.close()


def test_a_video_begins_anew_behind_its_last_picture_and_in_its_midst(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    encode_evenly(clip, [gray(level) for level in (0, 60, 120, 180)], 50.0)
    source = play_video(clip, speed=4.0)
    while not source.ended:
        source.latest(3, 5.0)
    assert source.again() == 4
    assert not source.ended
    newest = source.latest(7, 5.0)  # the fourth of the second round
    assert newest is not None
    assert (newest.number, round(newest.time, 3), int(newest.picture[0, 0, 0])) == (8, 0.14, pytest.approx(180, abs=4))
    slow = play_video(clip, speed=0.01)
    assert slow.latest(0, 5.0) is not None
    assert slow.again() == 1
    first = slow.latest(1, 5.0)
    assert first is not None
    assert (first.number, round(first.time, 3), int(first.picture[0, 0, 0])) == (2, 0.02, pytest.approx(0, abs=4))
    slow.close()
    assert NewestPicture("camera", Camcorder().stream).again() is None


@pytest.mark.parametrize("option", [{"out": Path("x")}, {"seconds": 2.0}, {"identity": Path("x")}, {"loop": True}])
def test_options_of_pictures_are_refused_where_there_are_none(option: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="means nothing of --live-link") as refused:
        live(live_link=True, **option)
    assert refused.value.code == ErrorCode.BAD_OPTION
    assert next(iter(option)) in refused.value.message


def test_a_still_is_no_video_and_an_image_of_a_sequence_is_told_as_that(tmp_path: Path) -> None:
    from PIL import Image

    still = tmp_path / "still.png"
    Image.fromarray(gray(9)).save(still)
    with pytest.raises(UserError, match="nothing in it moves"):
        play_video(still)
    for number in (7, 8, 9):
        Image.fromarray(gray(number)).save(tmp_path / f"shot_{number:04d}.png")
    source = play_video(tmp_path / "shot_0008.png")
    assert source.name == "shot_0007.png to shot_0009.png"
    first = source.latest(0, 5.0)
    assert first is not None
    assert int(first.picture[0, 0, 0]) == 6 + first.number
    source.close()
