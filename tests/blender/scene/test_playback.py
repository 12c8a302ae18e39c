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

from ..stamps import SIZE, set_matrix, shown_stamps, stamped, tracked, write_image, write_video

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
    "short last.mov": {**NO_B, "rate": 60, "count": 9, "times": [Fraction(i, 6) for i in range(9)]},
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


def test_a_sequence_as_a_second_view_shows_its_own_pictures(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.mp4", **B)
    folder = sequence(tmp_path / "pictures", [f"p_{i:04d}.png" for i in range(7, 16)])
    take, stamps, _ = tracked(tmp_path / "out", clip, folder, offsets=[0.0, -0.13])
    assert not take.cameras[1].proxy
    assert_shown(take, 1, stamps[1], tmp_path)


STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How pictures are stored that EXIF's orientation puts upright."""


def photograph(path: Path, number: int, orientation: int) -> Path:
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(stamped(number)).transpose(STORED[orientation]).save(path, exif=exif)
    return path


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
def test_a_turned_photograph_is_shown_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    photo = photograph(tmp_path / f"photo.{suffix}", 5, orientation)
    take, (stamps,), said = tracked(tmp_path / "out", photo)
    assert stamps == [5] and "stored" in said[0]
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize("orientations", [(6, 6, 6), (3, 3, 4)], ids=["alike", "each its own"])
def test_turned_photographs_in_a_row_are_shown_upright(orientations: tuple[int, ...], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, orientation in enumerate(orientations, 1):
        photograph(tmp_path / "in" / f"p_{number}.jpg", number, orientation)
    take, (stamps,), _ = tracked(tmp_path / "out", tmp_path / "in")
    assert stamps == [1, 2, 3]
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_photographs_of_which_only_some_are_turned_are_shown_upright(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(stamped(1)).save(tmp_path / "in" / f"p_1.{suffix}")
    photograph(tmp_path / "in" / f"p_2.{suffix}", 2, 3)
    take, (stamps,), _ = tracked(tmp_path / "out", tmp_path / "in")
    assert stamps == [1, 2]
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize("durations", [40, [40, 80, 40, 200, 40, 40]], ids=["even", "uneven"])
@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.gif", "a.tif"])
def test_an_animated_image_shows_the_tracked_picture(name: str, durations: int | list[int], tmp_path: Path) -> None:
    pictures = [Image.fromarray(stamped(number)) for number in range(1, 7)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=durations)
    take, (stamps,), _ = tracked(tmp_path / "out", tmp_path / name)
    assert sorted(set(stamps)) == [1, 2, 3, 4, 5, 6]
    assert_shown(take, 0, stamps, tmp_path)


def test_a_gif_without_delays_is_shown_to_its_last_picture(tmp_path: Path) -> None:
    pictures = [Image.fromarray(stamped(number)) for number in range(1, 7)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=0)
    take, (stamps,), _ = tracked(tmp_path / "out", tmp_path / "a.gif")
    assert stamps == [1, 2, 3, 4, 5, 6]
    assert_shown(take, 0, stamps, tmp_path)


@pytest.mark.parametrize("suffix", ["dpx", "tga", "exr", "bmp", "jp2", "webp", "ppm", "heic"])
def test_images_of_any_kind_are_shown(suffix: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in (1, 2, 3):
        write_image(tmp_path / "in" / f"sh_{1000 + number}.{suffix}", number)
    take, (stamps,), said = tracked(tmp_path / "out", tmp_path / "in")
    assert stamps == [1, 2, 3] and bool(said) == (suffix in ("dpx", "ppm", "heic"))
    assert_shown(take, 0, stamps, tmp_path)


MATRICES = {
    "left to right": (-1, 0, 0, 1, SIZE[0], 0),
    "top to bottom": (1, 0, 0, -1, 0, SIZE[1]),
    "half a turn": (-1, 0, 0, -1, *SIZE),
}


@pytest.mark.parametrize("turn", MATRICES)
def test_a_turned_or_mirrored_video_is_shown_upright(turn: str, tmp_path: Path) -> None:
    a, _, _, d, *_ = matrix = MATRICES[turn]
    clip = write_video(tmp_path / "a.mp4", 6, stored=(slice(None, None, d), slice(None, None, a)), **NO_B)
    set_matrix(clip, matrix)
    take, (stamps,), said = tracked(tmp_path / "out", clip)
    assert stamps == [1, 2, 3, 4, 5, 6] and bool(said) == (a * d < 0)
    assert_shown(take, 0, stamps, tmp_path)


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
