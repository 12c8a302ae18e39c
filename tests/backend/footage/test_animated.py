"""Images that move are footage with times; those that do not are stills; none is too long to be refused at once."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.errors import UserError
from backend.footage import open_footage, probe
from tests.backend.footage.clips import read_stamp, stamped
from tests.backend.footage.pictures import STORED

OPTIONS = {"gif": {}, "png": {}, "webp": {"lossless": True}, "avif": {"quality": 95}}


def animation(path: Path, delays: list[int], *, orientation: int = 1, **options: object) -> Path:
    """As many stamped pictures as there are delays, in milliseconds."""
    how = STORED[orientation]
    pictures = [Image.fromarray(stamped(number)) for number in range(1, len(delays) + 1)]
    if how is not None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        pictures, options = [picture.transpose(how) for picture in pictures], options | {"exif": exif}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays, loop=0, **options)
    return path


@pytest.mark.parametrize("suffix", OPTIONS)
@pytest.mark.parametrize("delays", [[40] * 12, [40, 40, 40, 400, 40, 200, 40, 40], [200, 200, 40, 40, 300, 200, 200]])
def test_pictures_have_the_times_of_their_delays(tmp_path: Path, suffix: str, delays: list[int]) -> None:
    footage = open_footage(animation(tmp_path / f"a.{suffix}", delays, **OPTIONS[suffix]))
    frames = list(footage)
    assert footage.info.kind == "video" and footage.info.frame_count == len(delays)
    assert [read_stamp(frame.image) for frame in frames] == list(range(1, len(delays) + 1))
    times = np.concatenate([[0], np.cumsum(delays[:-1])]) / 1000
    np.testing.assert_allclose([frame.time for frame in frames], times, atol=1e-3)
    scene = np.array([frame.scene_frame for frame in frames])
    np.testing.assert_array_equal(scene, np.round(1 + times * footage.info.frame_rate))
    assert footage.info.variable_rate == (len(set(delays)) > 1)
    for first in (1, 3, len(delays)):
        part = footage.part((first, len(delays)))
        assert [read_stamp(frame.image) for frame in part] == list(range(first, len(delays) + 1))
        assert [frame.scene_frame for frame in part] == scene[first - 1 :].tolist()


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_pictures_as_fast_as_can_be_show_a_tenth_of_a_second(tmp_path: Path, suffix: str) -> None:
    info = probe(animation(tmp_path / f"a.{suffix}", [0] * 5, **OPTIONS[suffix]))
    assert (info.frame_count, info.frame_rate, info.variable_rate) == (5, pytest.approx(10), False)


@pytest.mark.parametrize("suffix", ["png", "webp"])
@pytest.mark.parametrize("orientation", [2, 5, 6])
def test_animations_obey_their_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = animation(tmp_path / f"a.{suffix}", [40] * 3, orientation=orientation, **OPTIONS[suffix])
    footage = open_footage(path)
    assert [read_stamp(frame.image) for frame in footage] == [1, 2, 3]
    assert (footage.info.width, footage.info.height) == (160, 32)
    assert footage.info.mirrored == (orientation in (2, 5))


def test_animations_are_no_pictures_of_a_sequence(tmp_path: Path) -> None:
    one = animation(tmp_path / "a_1.gif", [40] * 3)
    assert probe(tmp_path).kind == "video"
    animation(tmp_path / "a_2.gif", [40] * 3)
    assert probe(one).kind == "video"
    for given, files in ((tmp_path, []), ("", [one])):
        with pytest.raises(UserError, match="animation"):
            open_footage(given, files=files)


def test_a_still_that_is_not_of_the_animation_stays_out(tmp_path: Path) -> None:
    path = animation(tmp_path / "a.png", [40] * 5, default_image=True)
    assert [read_stamp(frame.image) for frame in open_footage(path)] == [2, 3, 4, 5]


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_one_picture_is_a_still(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(stamped(5)).save(tmp_path / f"a.{suffix}")
    footage = open_footage(tmp_path / f"a.{suffix}")
    assert footage.info.kind == "still"
    assert [read_stamp(frame.image) for frame in footage] == [5]


@pytest.mark.parametrize("orientation", [1, 5, 6])
def test_pages_of_a_tiff_follow_each_other(tmp_path: Path, orientation: int) -> None:
    how = STORED[orientation]
    pictures = [Image.fromarray(stamped(number)) for number in range(1, 6)]
    pictures = [picture if how is None else picture.transpose(how) for picture in pictures]
    path = tmp_path / "a.tif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], tiffinfo={274: orientation})
    footage = open_footage(path, sequence_rate=30)
    assert [read_stamp(frame.image) for frame in footage] == [1, 2, 3, 4, 5]
    assert (footage.info.kind, footage.info.frame_rate, footage.info.width) == ("video", 30, 160)
    assert [read_stamp(frame.image) for frame in footage.part((2, 3))] == [2, 3]


def test_previews_in_a_tiff_are_no_pictures_of_it(tmp_path: Path) -> None:
    whole, small = Image.fromarray(stamped(3)), Image.fromarray(stamped(3)[:16, :80])
    whole.save(tmp_path / "a.tif", save_all=True, append_images=[small])
    assert probe(tmp_path / "a.tif").kind == "still"
    whole.save(tmp_path / "b.tif", save_all=True, append_images=[small, whole])
    info = probe(tmp_path / "b.tif")
    assert info.frame_count == 2 and "1 page" in info.notes[0]


def test_a_cut_off_animation_gives_the_pictures_it_has(tmp_path: Path) -> None:
    whole = animation(tmp_path / "a.webp", [40] * 8, lossless=True).read_bytes()
    (tmp_path / "b.webp").write_bytes(whole[: len(whole) * 3 // 5])
    try:
        shown = [read_stamp(frame.image) for frame in open_footage(tmp_path / "b.webp")]
    except UserError as error:
        assert error.code == "image_unreadable"
    else:
        assert shown == list(range(1, len(shown) + 1))


def tiff_pages(count: int, side: int) -> bytes:
    """Directories of as many grey pages, which share their pixels."""
    values = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: side, 279: side * side}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in values.items())
    size = 2 + len(entries) + 4
    links = [72 + (page + 1) * size for page in range(count - 1)] + [0]
    return (
        b"II*\0"
        + struct.pack("<I", 72)
        + bytes(64)
        + b"".join(struct.pack("<H", len(values)) + entries + struct.pack("<I", link) for link in links)
    )


def gif_frames(count: int, side: int) -> bytes:
    head = b"GIF89a" + struct.pack("<2H", side, side) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    frame = b"\x21\xf9\x04\0\x04\0\0\0" + b"," + struct.pack("<4H", 0, 0, 1, 1) + b"\0\2\2\x44\1\0"
    return head + frame * count + b";"


def webp_frames(count: int) -> bytes:
    data = io.BytesIO()
    pictures = [Image.fromarray(stamped(number)) for number in (1, 2)]
    pictures[0].save(data, "WEBP", save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    whole = data.getvalue()
    at = whole.find(b"ANMF")
    size = struct.unpack_from("<I", whole, at + 4)[0]
    body = whole[12:at] + whole[at : at + 8 + size + size % 2] * count
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("many.tif", lambda: tiff_pages(120_000, 8)),
        ("wide.tif", lambda: tiff_pages(5000, 12_000)),
        ("wide.gif", lambda: gif_frames(4000, 8000)),
        ("many.webp", lambda: webp_frames(110_000)),
    ],
)
@pytest.mark.slow
def test_animations_without_end_are_refused(tmp_path: Path, name: str, data) -> None:
    (tmp_path / name).write_bytes(data())
    with pytest.raises(UserError, match=name) as caught:
        open_footage(tmp_path / name)
    assert caught.value.code == "footage_too_large"


def test_directories_in_a_circle_end(tmp_path: Path) -> None:
    data = bytearray(tiff_pages(3, 8))
    data[-4:] = struct.pack("<I", 72)
    (tmp_path / "a.tif").write_bytes(bytes(data))
    assert probe(tmp_path / "a.tif").frame_count == 3


def test_a_file_of_nothing_but_its_beginning_is_refused_without_reading_it(tmp_path: Path) -> None:
    for name, start in {"a.png": b"\x89PNG\r\n\x1a\n", "a.webp": b"RIFF\xff\xff\xff\x7fWEBP"}.items():
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate(1 << 30)
        with pytest.raises(UserError, match=name) as caught:
            open_footage(tmp_path / name)
        assert caught.value.code == "image_unreadable"
