"""What Blender plays as it was tracked, and in words why not. That it does is measured in tests/blender."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.footage import FootageInfo
from backend.footage.playback import VideoTimes, counts_by_names, counts_by_times, proxy_reason, read_times

VIDEO = FootageInfo(
    path=Path("/clips/a.mp4"),
    kind="video",
    width=640,
    height=480,
    frame_count=100,
    first_frame=1,
    last_frame=100,
    frame_rate=25.0,
    duration=3.96,
    rotation=90,
    stored_width=480,
    stored_height=640,
    pixel_aspect=1.0,
    variable_rate=False,
    codec="h264",
    pixel_format="yuv420p",
)
STILL = replace(VIDEO, path=Path("/photos/a.jpg"), kind="still", frame_count=1, last_frame=1, rotation=0, codec="jpeg")
TIMES = VideoTimes(
    container="mov",
    codec="h264",
    times=np.arange(100) * 512,
    start=0,
    ticks=12800.0,
    rate=25.0,
    playable=100,
    open_groups=False,
)


def test_what_blender_plays_needs_no_proxy() -> None:
    assert proxy_reason(VIDEO, TIMES) is None
    assert proxy_reason(STILL, None) is None


@pytest.mark.parametrize(
    ("info", "times", "why"),
    [
        (replace(VIDEO, variable_rate=True), TIMES, "constant rate"),
        (replace(VIDEO, mirrored=True), TIMES, "mirrored"),
        (replace(VIDEO, frame_count=99), TIMES, "counts its pictures differently"),
        (VIDEO, None, "cannot tell when"),
        (VIDEO, replace(TIMES, container="avi"), "every picture of h264"),
        (VIDEO, replace(TIMES, container="mpegts"), "every picture of h264"),
        (VIDEO, replace(TIMES, codec="theora"), "every picture of theora"),
        (VIDEO, replace(TIMES, open_groups=True), "open groups"),
        (VIDEO, replace(TIMES, start=-512), "counts its pictures differently"),
        (VIDEO, replace(TIMES, rate=24.5), "counts its pictures differently"),
        (VIDEO, replace(TIMES, playable=99), "before its last picture"),
        (replace(STILL, rotation=90), None, "turned"),
        (replace(STILL, mirrored=True), None, "mirrored"),
        (replace(VIDEO, stream=1), TIMES, "another of its video streams"),
        (replace(STILL, path=Path("/photos/a.heic"), codec="heif"), None, "HEIF"),
        (replace(STILL, path=Path("/photos/a.jpg"), codec="heif"), None, "HEIF images in .jpg files"),
        (replace(STILL, path=Path("/shots/a_1001.dpx"), codec="dpx", kind="sequence"), None, "DPX"),
        (replace(STILL, path=Path("/shots/a_1001.jpg"), kind="sequence"), None, "by their names"),
    ],
)
def test_what_it_does_not_play_is_said(info: FootageInfo, times: VideoTimes | None, why: str) -> None:
    reason = proxy_reason(info, times)
    assert reason is not None and why in reason


def test_a_part_that_ends_before_what_blender_leaves_out_needs_no_proxy() -> None:
    short = replace(TIMES, playable=99)
    assert proxy_reason(VIDEO, short, last=99) is None and proxy_reason(VIDEO, short, last=100) is not None


@pytest.mark.parametrize(
    ("names", "numbers", "counted"),
    [
        (["a_0001.png", "a_0002.png"], (1, 2), True),
        (["a9.png", "a10.png"], (9, 10), True),
        (["take#2_0001.png", "take#2_0002.png"], (1, 2), True),
        (["frame_0001_rgb.png", "frame_0002_rgb.png"], (1, 2), True),
        (["a.1.jp2", "a.2.jp2"], (1, 2), True),
        (["frame_0001_v2.png", "frame_0002_v2.png"], (1, 2), False),
        (["a_0010.png", "a_0020.png"], (10, 20), False),
        (["a_1.png", "a_02.png"], (1, 2), False),
        (["a_1234567.png", "a_1234568.png"], (1, 2), False),
        (["1700000000000.png", "1700000000001.png"], (1700000000000, 1700000000001), False),
        (["one.png", "two.png"], (1, 2), False),
        (["a_1.png", "../b/a_2.png"], (1, 2), False),
        ([], (), False),
    ],
)
def test_blender_counts_up_the_last_digits_of_the_first_name(
    names: list[str], numbers: tuple[int, ...], counted: bool
) -> None:
    assert counts_by_names([Path("/shots") / name for name in names], numbers) is counted


def test_times_in_milliseconds_may_round_only_as_blender_does() -> None:
    """29.97 frames a second in Matroska, of which every 30th comes in the middle between two milliseconds."""
    exact = np.arange(3000) * 1001 / 30
    rounded = replace(TIMES, container="matroska", times=np.floor(exact + 0.5).astype(np.int64), ticks=1000.0)
    rounded = replace(rounded, rate=30000 / 1001)
    assert counts_by_times(rounded)
    assert counts_by_times(replace(rounded, times=np.floor(exact).astype(np.int64)))
    assert not counts_by_times(replace(rounded, times=np.ceil(exact).astype(np.int64)))


def test_what_is_no_video_has_no_times(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("no film")
    assert read_times(tmp_path / "notes.mp4") is None
    assert read_times(tmp_path / "missing.mp4") is None
