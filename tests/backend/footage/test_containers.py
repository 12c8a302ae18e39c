"""Which stream of which container is the footage, and which picture shows when; on stamped pictures."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from backend.errors import UserError
from backend.footage import Footage, open_footage, probe
from tests.backend.footage.clips import read_stamp, stamped, write_video

COUNT = 48
PICTURES = [stamped(number) for number in range(1, COUNT + 1)]
B_FRAMES = {
    "mpeg4": {"bf": "2", "g": "12", "q:v": "2"},
    "libx264": {"bf": "3", "g": "15", "x264-params": "open-gop=1"},
    "mpeg2video": {"bf": "2", "g": "12", "q:v": "2"},
}
CONTAINERS = ["avi", "mp4", "mkv", "ts", "nut", "mxf", "asf"]


def stamps(footage: Footage) -> list[int]:
    return [read_stamp(frame.image) for frame in footage]


def refused(path: Path) -> str:
    with pytest.raises(UserError, match=path.name.replace(".", r"\.")) as caught:
        list(open_footage(path))
    return caught.value.code


@pytest.mark.parametrize("codec", B_FRAMES)
@pytest.mark.parametrize("suffix", CONTAINERS)
def test_pictures_are_in_order_behind_b_frames(tmp_path: Path, codec: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if (codec, suffix) == ("mpeg4", "mxf"):
        pytest.skip("FFmpeg's MXF has no MPEG-4")
    footage = open_footage(write_video(path, PICTURES, codec=codec, options=B_FRAMES[codec]))
    frames = list(footage)
    assert [read_stamp(frame.image) for frame in frames] == list(range(1, COUNT + 1))
    assert [frame.number for frame in frames] == [frame.scene_frame for frame in frames] == list(range(1, COUNT + 1))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(COUNT) / 25, atol=2e-3)
    assert (footage.info.frame_rate, footage.info.variable_rate, footage.skipped) == (25, False, ())
    for first, last in ((5, 9), (20, 31), (40, 48)):
        assert stamps(footage.part((first, last))) == list(range(first, last + 1))


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "ts"])
def test_a_late_start_is_time_nought(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(10) + Fraction(i, 25) for i in range(COUNT)]
    footage = open_footage(write_video(tmp_path / f"a.{suffix}", PICTURES, times=times, options={"bf": "2"}))
    frames = list(footage)
    assert frames[0].time == 0
    assert (
        [read_stamp(frame.image) for frame in frames]
        == [frame.scene_frame for frame in frames]
        == [*range(1, COUNT + 1)]
    )


def test_an_edit_list_cuts_the_beginning_off(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", PICTURES, options={"bf": "0", "g": "48"})
    data = bytearray(path.read_bytes())
    at = data.find(b"elst") + 12
    ticks = struct.unpack_from(">I", data, data.find(b"mdhd") + 16)[0]
    duration, start = struct.unpack_from(">Ii", data, at)
    struct.pack_into(">Ii", data, at, duration, start + 10 * ticks // 25)
    path.write_bytes(bytes(data))
    footage = open_footage(path)
    frames = list(footage)
    assert [read_stamp(frame.image) for frame in frames] == list(range(11, COUNT + 1))
    assert (frames[0].number, frames[0].time, frames[0].scene_frame) == (1, 0, 1)
    assert footage.info.missing_frames == 0
    assert stamps(footage.part((3, 5))) == [13, 14, 15]


CORNERS = {
    (1, 0, 0, 1): None,
    (-1, 0, 0, 1): Image.Transpose.FLIP_LEFT_RIGHT,
    (-1, 0, 0, -1): Image.Transpose.ROTATE_180,
    (1, 0, 0, -1): Image.Transpose.FLIP_TOP_BOTTOM,
    (0, 1, 1, 0): Image.Transpose.TRANSPOSE,
    (0, 1, -1, 0): Image.Transpose.ROTATE_90,
    (0, -1, -1, 0): Image.Transpose.TRANSVERSE,
    (0, -1, 1, 0): Image.Transpose.ROTATE_270,
}
"""Display matrices, and how an upright picture is stored to be upright once each is followed."""


def set_matrix(path: Path, corner: tuple[int, int, int, int]) -> None:
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd")
    at += 8 + (32 if data[at + 4] == 1 else 20) + 16
    a, b, c, d = (value * 65536 for value in corner)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("corner", CORNERS)
@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_display_matrices_are_followed_with_their_mirror(tmp_path: Path, corner: tuple[int, ...], suffix: str) -> None:
    how = CORNERS[corner]
    stored = [
        np.asarray(picture if how is None else picture.transpose(how)) for picture in map(Image.fromarray, PICTURES)
    ]
    path = write_video(tmp_path / f"a.{suffix}", [np.ascontiguousarray(picture) for picture in stored[:6]])
    set_matrix(path, corner)
    footage = open_footage(path)
    assert stamps(footage) == [1, 2, 3, 4, 5, 6]
    info = footage.info
    a, b, c, d = corner
    assert (info.width, info.height, info.mirrored) == (160, 32, a * d - b * c < 0)
    assert (info.stored_width, info.stored_height) == stored[0].shape[1::-1]


def write_streams(
    path: Path, streams: list[tuple[str, list[np.ndarray]]], marks: list[Disposition] | None = None
) -> Path:
    with av.open(str(path), "w") as container:
        made = []
        for codec, pictures in streams:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            made.append(stream)
        for stream, mark in zip(made, marks or [], strict=False):
            stream.disposition = mark
        for stream, (_, pictures) in zip(made, streams, strict=True):
            for number, picture in enumerate(pictures):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
def test_covers_and_thumbnails_are_not_the_film(tmp_path: Path, suffix: str) -> None:
    large, small = np.zeros((400, 800, 3), np.uint8), [np.ascontiguousarray(p[::2, ::2]) for p in PICTURES]
    film = ("libx264", PICTURES)
    cover = write_streams(
        tmp_path / f"cover.{suffix}", [("mjpeg", [large]), film], [Disposition.attached_pic, Disposition.default]
    )
    one = write_streams(tmp_path / f"one.{suffix}", [("mjpeg", [large]), film])
    preview = write_streams(tmp_path / f"preview.{suffix}", [("mjpeg", small), film])
    for path in (cover, one, preview):
        footage = open_footage(path)
        assert stamps(footage) == list(range(1, COUNT + 1)), path
        assert stamps(footage.part((20, 22))) == [20, 21, 22]
    info = probe(preview)
    assert info.stream == 1 and "2 video streams" in info.notes[0]


def test_the_cover_of_sound_is_no_film(tmp_path: Path) -> None:
    path = write_streams(tmp_path / "song.mp4", [("mjpeg", [stamped(1)])], [Disposition.attached_pic])
    assert refused(path) == "footage_no_video"


def test_what_only_names_films_is_none(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", PICTURES[:3])
    texts = {
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{film.name}\n#EXT-X-ENDLIST\n",
        "list.mp4": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{film.name}\n#EXT-X-ENDLIST\n",
        "all.ffconcat": f"ffconcat version 1.0\nfile {film.name}\n",
        "all.mov": f"ffconcat version 1.0\nfile {film.name}\n",
        "call.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert refused(tmp_path / name) == "footage_unreadable"


def test_names_that_ffmpeg_would_read_are_names(tmp_path: Path) -> None:
    for name in ("100%d.mp4", "a%03d.mkv", "concat:a.mp4", "#1.mov", "file:x.mp4"):
        assert stamps(open_footage(write_video(tmp_path / "a.mp4", PICTURES[:3]).rename(tmp_path / name))) == [1, 2, 3]


def test_motion_jpeg_is_not_its_first_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mjpeg", PICTURES, codec="mjpeg", pixel_format="yuvj420p", options={"q:v": "2"})
    assert stamps(open_footage(path)) == list(range(1, COUNT + 1))


def test_a_video_that_is_called_a_picture_is_a_video(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", PICTURES[:5]).rename(tmp_path / "a.png")
    assert stamps(open_footage(path)) == [1, 2, 3, 4, 5]


def test_a_browsers_recording_plays_at_the_rate_of_its_times(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).choice([31, 33, 34, 36, 66], 60)[:COUNT]
    times = [Fraction(int(step), 1000) for step in np.cumsum(steps)]
    options = {"deadline": "realtime", "cpu-used": "8"}
    path = write_video(
        tmp_path / "live.webm",
        PICTURES,
        codec="libvpx",
        rate=1000,
        times=times,
        time_base=Fraction(1, 1000),
        options=options,
        container_options={"live": "1"},
    )
    footage = open_footage(path)
    frames = list(footage)
    assert [read_stamp(frame.image) for frame in frames] == list(range(1, COUNT + 1))
    assert 27 < footage.info.frame_rate < 32 and footage.info.variable_rate
    assert "1000 frames per second" in footage.info.notes[0]
    scene = np.array([frame.scene_frame for frame in frames])
    assert (scene == np.round(scene)).all() and (np.diff(scene) > 0).all()
    exact = 1 + np.array([frame.time for frame in frames]) * footage.info.frame_rate
    assert np.abs(scene - exact).max() <= 1.5


def test_a_part_of_varying_rate_has_the_frames_of_the_whole(tmp_path: Path) -> None:
    times = [Fraction(i, 30) for i in range(24)] + [Fraction(24, 30) + Fraction(i, 15) for i in range(24)]
    footage = open_footage(write_video(tmp_path / "a.mp4", PICTURES, times=times, rate=30))
    scene = {frame.number: frame.scene_frame for frame in footage}
    assert [scene[number] for number in (1, 24, 25, 26, 48)] == [1, 24, 25, 27, 71]
    assert {frame.number: frame.scene_frame for frame in footage.part((20, 30))} == {n: scene[n] for n in range(20, 31)}


def test_pictures_of_one_time_are_all_there_and_keep_the_times_of_the_others(tmp_path: Path) -> None:
    """As recorders write them whose clock has milliseconds, or stands still for a picture."""
    times = np.cumsum(np.random.default_rng(2).choice([31, 33, 34, 36, 66], COUNT))
    times[[10, 20, 21]] = times[[9, 19, 19]]
    even = write_video(tmp_path / "even.mkv", PICTURES, codec="libvpx", options={"deadline": "realtime", "g": "8"})
    path = tmp_path / "live.webm"
    with av.open(str(even)) as source, av.open(str(path), "w", options={"live": "1"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = (packet for packet in source.demux(video=0) if packet.size)
        for packet, time in zip(packets, times.tolist(), strict=True):
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 1000), time, time
            out.mux(packet)
    footage = open_footage(path)
    frames = list(footage)
    assert [read_stamp(frame.image) for frame in frames] == list(range(1, COUNT + 1))
    np.testing.assert_allclose([frame.time for frame in frames], (times - times[0]) / 1000, atol=1e-3)
    assert (np.diff([frame.scene_frame for frame in frames]) > 0).all()
    assert 27 < footage.info.frame_rate < 32 and footage.info.variable_rate
    assert stamps(footage.part((15, 30))) == list(range(15, 31))
