from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.errors import UserError
from backend.footage import Footage, open_footage, probe
from tests.backend.footage.clips import read_stamp, stamped, write_video

COUNT = 97

CONTAINERS = {
    "long_gop.mp4": {"codec": "libx264", "options": {"g": "40", "bf": "3", "x264-params": "open-gop=1"}},
    "one_keyframe.mkv": {"codec": "libx264", "options": {"g": "1000", "bf": "2"}},
    "program_stream.mpg": {"codec": "mpeg1video", "options": {"g": "12", "bf": "2", "q:v": "2"}},
    "plain.avi": {"codec": "mpeg4", "options": {"g": "15", "q:v": "2"}},
    "intra.mov": {"codec": "mjpeg", "pixel_format": "yuvj420p", "options": {"q:v": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "30", "deadline": "realtime", "cpu-used": "8"}},
}


@pytest.fixture(scope="session")
def stamped_videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("stamped")
    pictures = [stamped(number) for number in range(1, COUNT + 1)]
    return {name: write_video(folder / name, pictures, **options) for name, options in CONTAINERS.items()}


def numbers(footage: Footage) -> list[int]:
    return [frame.number for frame in footage]


def code_of(path: Path, frames: tuple[int, int] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        list(open_footage(path, frames))
    assert path.name in caught.value.message
    return caught.value.code


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_frame_carries_its_own_number(stamped_videos: dict[str, Path], name: str) -> None:
    footage = open_footage(stamped_videos[name])
    assert footage.info.frame_count == footage.total == COUNT
    frames = list(footage)
    assert [frame.number for frame in frames] == list(range(1, COUNT + 1))
    assert [read_stamp(frame.image) for frame in frames] == list(range(1, COUNT + 1))
    assert [frame.scene_frame for frame in frames] == list(range(1, COUNT + 1))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(COUNT) / 25, atol=1e-3)
    assert footage.skipped == ()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CONTAINERS)), st.integers(1, COUNT), st.integers(0, 6))
def test_a_range_gives_exactly_its_frames(stamped_videos: dict[str, Path], name: str, first: int, length: int) -> None:
    last = min(COUNT, first + length)
    footage = open_footage(stamped_videos[name], (first, last))
    frames = list(footage)
    assert [frame.number for frame in frames] == list(range(first, last + 1))
    assert [read_stamp(frame.image) for frame in frames] == list(range(first, last + 1))
    assert footage.total == len(frames)
    assert frames[0].time == pytest.approx((first - 1) / 25, abs=1e-3)


def test_iterating_twice_gives_the_same(stamped_videos: dict[str, Path]) -> None:
    footage = open_footage(stamped_videos["long_gop.mp4"], (30, 35))
    assert numbers(footage) == numbers(footage) == list(range(30, 36))


def test_a_range_is_cut_to_the_footage_and_refused_outside(stamped_videos: dict[str, Path]) -> None:
    path = stamped_videos["long_gop.mp4"]
    assert numbers(open_footage(path, (COUNT - 1, COUNT + 50))) == [COUNT - 1, COUNT]
    assert code_of(path, (COUNT + 1, COUNT + 5)) == "frames_out_of_range"
    assert code_of(path, (9, 3)) == "frames_out_of_range"


def test_varying_rate_takes_its_times_from_the_file(tmp_path: Path) -> None:
    ticks = [0, 1, 2, 5, 6, Fraction(13, 2), 9, 10, 15, 16]
    times = [Fraction(tick) / 25 for tick in ticks]
    path = write_video(tmp_path / "vfr.mp4", [stamped(n) for n in range(1, 11)], times=times)
    footage = open_footage(path)
    frames = list(footage)
    assert footage.info.variable_rate
    np.testing.assert_allclose([frame.time for frame in frames], [float(t) for t in times], atol=1e-3)
    expected = [1 + float(t) * footage.info.frame_rate for t in times]
    np.testing.assert_allclose([frame.scene_frame for frame in frames], expected, atol=0.03)
    assert [read_stamp(f.image) for f in open_footage(path, (4, 6))] == [4, 5, 6]


def test_ntsc_rate_stays_on_whole_scene_frames(tmp_path: Path) -> None:
    pictures = [stamped(n) for n in range(1, 61)]
    info = probe(write_video(tmp_path / "ntsc.mp4", pictures, rate=Fraction(24000, 1001)))
    assert info.frame_rate == pytest.approx(24000 / 1001)
    assert not info.variable_rate
    assert [f.scene_frame for f in open_footage(tmp_path / "ntsc.mp4")] == list(range(1, 61))


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_rotation_flag_turns_picture_and_size(tmp_path: Path, clockwise: int) -> None:
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :48] = (220, 30, 30)  # red top left
    upright[:32, 48:] = (30, 220, 30)
    upright[32:, :48] = (30, 30, 220)
    stored = np.ascontiguousarray(np.rot90(upright, clockwise // 90))  # turned counter-clockwise for storing
    path = write_video(tmp_path / "turned.mp4", [stored] * 3, rotation_ccw=-clockwise, pixel_format="yuv444p")
    footage = open_footage(path)
    info = footage.info
    assert (info.rotation, info.width, info.height) == (clockwise, 96, 64)
    image = next(iter(footage)).image
    assert image.flags.c_contiguous
    np.testing.assert_allclose(image.astype(int), upright, atol=30)


def test_ten_bit_becomes_eight_without_losing_the_ramp(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    picture = np.broadcast_to(ramp[None, :, None], (32, 256, 3)).copy()
    path = write_video(tmp_path / "deep.mkv", [picture] * 2, codec="ffv1", pixel_format="yuv420p10le")
    info = probe(path)
    assert info.pixel_format == "yuv420p10le"
    image = next(iter(open_footage(path))).image
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[16, :, 1].astype(int), np.linspace(0, 255, 256), atol=3)


def test_grey_and_odd_sizes(tmp_path: Path) -> None:
    picture = np.broadcast_to(np.arange(63, dtype=np.uint8)[None, :, None] * 4, (47, 63, 3)).copy()
    path = write_video(tmp_path / "grey.mkv", [picture] * 2, codec="ffv1", pixel_format="gray")
    frame = next(iter(open_footage(path)))
    assert frame.image.shape == (47, 63, 3)
    assert frame.image.flags.c_contiguous
    np.testing.assert_allclose(frame.image.astype(int), picture, atol=2)


def test_pixel_aspect_widens_the_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "wide.mp4", [stamped(5)] * 2, pixel_aspect=Fraction(4, 3))
    info = probe(path)
    assert (info.width, info.height, info.stored_width) == (round(160 * 4 / 3), 32, 160)
    assert info.pixel_aspect == pytest.approx(4 / 3)
    assert next(iter(open_footage(path))).image.shape == (32, 213, 3)


def test_a_cut_off_file_gives_the_frames_it_still_has(tmp_path: Path) -> None:
    pictures = [stamped(n) for n in range(1, 81)]
    whole = write_video(tmp_path / "whole.mkv", pictures, options={"g": "10"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    stamps = [read_stamp(frame.image) for frame in open_footage(cut)]
    assert 5 < len(stamps) < 80
    assert stamps == list(range(1, len(stamps) + 1))


def test_a_cut_off_mp4_says_how_much_is_missing(tmp_path: Path) -> None:
    pictures = [stamped(n) for n in range(1, 81)]
    options = {"movflags": "faststart"}
    whole = write_video(tmp_path / "whole.mp4", pictures, options={"g": "10"}, container_options=options)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    footage = open_footage(cut)
    frames = list(footage)
    assert [read_stamp(frame.image) for frame in frames] == [frame.number for frame in frames]
    assert len(frames) + len(footage.skipped) == footage.info.frame_count
    assert footage.info.frame_count + footage.info.missing_frames == 80
    assert footage.info.missing_frames > 0
    without_index = tmp_path / "tail.mp4"
    plain = write_video(tmp_path / "plain.mp4", pictures)
    without_index.write_bytes(plain.read_bytes()[: plain.stat().st_size // 2])
    assert code_of(without_index) == "footage_unreadable"


def test_damage_in_the_middle_keeps_the_numbers_of_the_rest(tmp_path: Path) -> None:
    pictures = [stamped(n) for n in range(1, 61)]
    path = write_video(tmp_path / "damaged.mkv", pictures, options={"g": "10"})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(bytes(data))
    frames = list(open_footage(path))
    assert frames[-1].number == read_stamp(frames[-1].image) == len(pictures) or len(frames) < len(pictures)
    good = [frame for frame in frames if frame.number <= 10 or frame.number > 50]
    assert len(good) >= 10
    assert [read_stamp(frame.image) for frame in good[:10]] == list(range(1, 11))


def test_what_is_no_video_is_told_apart(tmp_path: Path) -> None:
    text = tmp_path / "letter.mp4"
    text.write_text("Dear animator,\nthis is no video.\n" * 50)
    assert code_of(text) == "footage_unreadable"
    note = tmp_path / "note.txt"
    note.write_text("ANSI art is a video to libavformat.\n" * 50)
    assert code_of(note) == "footage_unreadable"
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert code_of(empty) == "footage_empty"
    assert code_of(tmp_path / "nowhere.mp4") == "footage_missing"
    sound = tmp_path / "sound.wav"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert code_of(sound) == "footage_no_video"


def test_real_clips_have_the_frames_their_readme_says(shared_data: Path) -> None:
    expected = {"grid_swiz3n.mpg": 75, "intel_asl_eat_hand_mouth.mkv": 47, "lp_d20_dark_turn.mp4": 175}
    for name, count in expected.items():
        footage = open_footage(shared_data / "clips" / name)
        whole = {frame.number: frame.image.copy() for frame in footage}
        assert len(whole) == footage.info.frame_count == count
        for first in (2, count // 2, count - 1):
            for frame in open_footage(shared_data / "clips" / name, (first, first + 1)):
                np.testing.assert_array_equal(frame.image, whole[frame.number])


def test_non_square_pixels_of_a_real_clip(shared_data: Path) -> None:
    info = probe(shared_data / "clips" / "lp_d9_glasses_selfie.mp4")
    assert (info.stored_width, info.width, info.height) == (512, 480, 480)
