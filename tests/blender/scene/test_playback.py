"""Every frame of a scene shows the picture that its track was made from, measured by numbers in the pictures."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from protocol.take import TakeResult

from ..stamps import shown_stamps, stamped, tracked, write_video

pytestmark = pytest.mark.slow

NTSC = Fraction(30000, 1001)
HOLDS = [Fraction(i, 25) for i in (0, 1, 2, 3, 10, 11, 12, 30, 31, 33)]
JITTER = np.cumsum([31, 33, 34, 36, 66, 33, 35, 31, 66, 33, 33, 34, 31, 36, 33, 33])
B: dict[str, Any] = {"g": "8", "bf": "2"}
NO_B: dict[str, Any] = {"g": "8", "bf": "0"}

PLAYED = {
    "b.mp4": B,
    "ntsc.mov": {**B, "rate": NTSC},
    "late.mp4": {**B, "first": 9},
    "b.mkv": {**B, "rate": NTSC},
    "vp9.webm": {"codec": "libvpx-vp9", "deadline": "realtime", "cpu-used": "8", "g": "8"},
    "hevc.mp4": {"codec": "libx265", "x265-params": "keyint=8:open-gop=0:log-level=none"},
    "prores.mov": {"codec": "prores_ks", "pixels": "yuv422p10le"},
    "mjpeg.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "even.gif": {"codec": "gif", "pixels": "rgb8"},
}
"""Footage that Blender plays itself."""
REPLACED = {
    "b.avi": B,
    "no b.avi": NO_B,
    "open hevc.mp4": {"codec": "libx265", "x265-params": "keyint=8:open-gop=1:log-level=none"},
    "mpeg2.avi": {"codec": "mpeg2video"},
    "ntsc.ts": {**B, "rate": Fraction(24000, 1001)},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "no b.nut": NO_B,
    "rounded.mkv": {**NO_B, "rate": Fraction(60000, 1001), "count": 40},
    "floored.mov": {
        **NO_B,
        "rate": NTSC,
        "count": 40,
        "times": [Fraction(int(i * 20.02 + 0.5), 600) for i in range(40)],
    },
    "live.webm": {"codec": "libvpx", "container": {"live": "1"}},
    "holds.mp4": {**B, "times": HOLDS, "count": len(HOLDS)},
    "holds.gif": {"codec": "gif", "pixels": "rgb8", "times": HOLDS, "count": len(HOLDS), "time_base": Fraction(1, 100)},
    "jitter.webm": {
        "codec": "libvpx",
        "times": [Fraction(int(ms), 1000) for ms in JITTER],
        "count": len(JITTER),
        "time_base": Fraction(1, 1000),
        "rate": 30,
    },
    "odd.avi": {**NO_B, "size": (131, 41), "pixels": "yuv444p"},
}
"""Footage that Blender shows by a proxy."""


def assert_shown(take: TakeResult, view: int, stamps: list[int], folder: Path, most: int = 14) -> None:
    """Blender shows ``stamps`` from the take's first scene frame on, whatever the order in which it is asked.

    Of a view that plays itself at a rate of its own, only the frames of the take are asked for.
    """
    camera = take.cameras[view]
    known = np.round(take.scene_frames[camera.footage_frames >= 0]).astype(int)
    first = int(known[0])
    frames = known.tolist() if view and not camera.proxy else list(range(first, first + len(stamps)))
    some = random.Random(1).sample(frames, min(most, len(frames)))
    assert [stamps[frame - first] for frame in some] == shown_stamps(take, view, some, folder)


def sequence(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for index, name in enumerate(names):
        Image.fromarray(stamped(index + 1)).save(folder / name)
    return folder


@pytest.mark.parametrize("name", [*PLAYED, *REPLACED])
def test_the_tracked_picture_is_shown(name: str, tmp_path: Path) -> None:
    clip = write_video(tmp_path / name, **{**PLAYED, **REPLACED}[name])
    take, (stamps,), said = tracked(tmp_path / "out", clip)
    assert bool(take.cameras[0].proxy) == (name in REPLACED) == bool(said)
    assert sorted(set(stamps)) == list(range(1, max(stamps) + 1)), "the pictures are what was written"
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize("name", ["b.mp4", "b.avi", "holds.mp4"])
def test_a_part_shows_its_own_pictures(name: str, tmp_path: Path) -> None:
    clip = write_video(tmp_path / name, **{**PLAYED, **REPLACED}[name])
    take, (stamps,), _ = tracked(tmp_path / "out", clip, frames=(5, 9))
    assert set(stamps) == {5, 6, 7, 8, 9}
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize(
    ("first", "second", "offset"),
    [
        ({"rate": 25}, {"rate": 25}, 0.12),
        ({"rate": 25}, {"rate": 50, "count": 40}, 0.0),
        ({"rate": 25}, {"rate": Fraction(25, 2)}, 0.0),
        ({"rate": 30, "count": 90}, {"rate": 29, "count": 90}, 0.0),
        ({"times": HOLDS, "count": len(HOLDS)}, {"rate": 25, "count": 40}, 0.08),
        ({"rate": 25}, {"times": HOLDS, "count": len(HOLDS)}, 0.0),
    ],
    ids=["same", "twice", "half", "drifting", "varying first", "varying second"],
)
def test_every_view_shows_its_own_pictures(
    first: dict[str, Any], second: dict[str, Any], offset: float, tmp_path: Path
) -> None:
    clips = write_video(tmp_path / "a.mp4", **B, **first), write_video(tmp_path / "b.mp4", **B, **second)
    take, stamps, _ = tracked(tmp_path / "out", *clips, offsets=[0.0, offset])
    for view in (0, 1):
        assert_shown(take, view, stamps[view], tmp_path)


SEQUENCES = {
    "plain": [f"f_{i:04d}.png" for i in range(1001, 1007)],
    "growing": [f"f{i}.png" for i in range(8, 13)],
    "hash": [f"take#2_{i:04d}.png" for i in range(1, 5)],
    "percent": [f"t%04d_{i:04d}.png" for i in range(1, 5)],
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_shows_the_tracked_picture(name: str, tmp_path: Path) -> None:
    folder = sequence(tmp_path / name, SEQUENCES[name])
    take, (stamps,), said = tracked(tmp_path / "out", folder)
    assert stamps == list(range(1, len(SEQUENCES[name]) + 1)) and not said
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize("numbers", [(10, 20, 30, 40), (1, 3, 4, 8)], ids=["steps of ten", "gaps"])
def test_a_sequence_with_missing_numbers_holds_its_pictures(numbers: tuple[int, ...], tmp_path: Path) -> None:
    folder = sequence(tmp_path / "pictures", [f"f_{number:04d}.png" for number in numbers])
    take, (stamps,), said = tracked(tmp_path / "out", folder)
    assert stamps == [
        max(i for i, other in enumerate(numbers, 1) if other <= n) for n in range(numbers[0], numbers[-1] + 1)
    ]
    assert "cannot count" in said[0]
    assert_shown(take, 0, stamps, tmp_path, most=40)
