"""Footage that somebody else names: what cannot be read has its sentence, quickly, and no pattern walks the disk."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from backend.errors import UserError
from backend.footage import open_footage, read_image, sequences
from tests.backend.footage.clips import stamped, write_video


def refused(path: str | Path) -> tuple[str, str]:
    with pytest.raises(UserError) as caught:
        open_footage(path)
    caught.value.message.encode()  # it can travel
    assert len(caught.value.message) < 1000
    return caught.value.code, caught.value.message


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no users by number")
def test_what_may_not_be_read_says_so_for_files_folders_and_their_parents(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[: len(tmp_path.parents) - 2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    closed = tmp_path / "closed"
    closed.mkdir()
    (tmp_path / "secret.mp4").write_bytes(b"film")
    (closed / "f_1.png").write_bytes(b"picture")
    (tmp_path / "secret.mp4").chmod(0)
    closed.chmod(0)
    with as_nobody():
        for path in (tmp_path / "secret.mp4", closed, closed / "f_1.png", closed / "*.png", closed / "a" / "b.mp4"):
            code, message = refused(path)
            assert code in ("footage_unreadable", "footage_missing") and "permission denied" in message, message
    closed.chmod(0o700)


def test_names_that_lead_nowhere_or_everywhere_are_refused_in_words(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nothing")
    odd = tmp_path / os.fsdecode(b"\xff.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(odd)
    for path, code, words in (
        (loop, "footage_missing", "leads back to itself"),
        (loop / "*.png", "footage_missing", "leads back to itself"),
        (tmp_path / "dangling.mp4", "footage_missing", "There is no file"),
        (tmp_path / ("n" * 300), "footage_missing", "longer than the system allows"),
        ("/".join(["n" * 200] * 30), "footage_missing", "longer than the system allows"),
        ("a\0b.mp4", "footage_missing", "There is no file"),
        (odd, "footage_unreadable", "not text in UTF-8"),
        ("/dev/zero", "footage_unreadable", "a device"),
        (tmp_path / "**" / "*.png", "footage_no_images", "No image matches"),
        (tmp_path.parent / "*" / "x.png", "footage_missing", "There is no file"),
        (tmp_path / ("*a" * 40), "footage_no_images", "more placeholders"),
        (tmp_path / ("#_" * 40), "footage_no_images", "more placeholders"),
    ):
        found, message = refused(path)
        assert (found, words in message) == (code, True), (path, found, message)


def test_a_pattern_of_many_stars_takes_no_longer_than_one_of_few(tmp_path: Path) -> None:
    """With every way to divide a name tried, this one would take hours."""
    (tmp_path / ("a" * 240 + ".png")).touch()
    assert refused(tmp_path / ("*a" * 30 + "*b.png"))[0] == "footage_no_images"
    for number in range(1, 4):
        Image.new("RGB", (64, 64)).save(tmp_path / f"left_cam_{number:04d}_rgb.png")
    assert open_footage(tmp_path / "*t_c*m_####*g?.png").info.numbers == (1, 2, 3)


def test_a_folder_of_more_than_any_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequences, "MAX_ENTRIES", 20)
    for number in range(21):
        (tmp_path / f"f_{number:04d}.png").touch()
    for path in (tmp_path, tmp_path / "f_*.png", tmp_path / "f_0001.png"):
        (tmp_path / "f_0001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        code, message = refused(path)
        assert (code, "holds more than 20 files" in message) == ("footage_too_large", True), message
    Image.new("RGB", (64, 64)).save(tmp_path / "portrait.png")
    assert open_footage(tmp_path / "portrait.png").info.kind == "still"  # no number, no sequence to look for


def test_a_video_of_an_unknown_codec_is_refused_by_that_name(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [stamped(n) for n in range(3)])
    data = path.read_bytes()
    for tag, words in ((b"zzz1", "codec that is not known"), (b"CFHD", "its codec is cfhd")):
        path.write_bytes(data.replace(b"avc1", tag).replace(b"mp4v", tag))
        code, message = refused(path)
        assert (code, words in message) == ("footage_unreadable", True), message


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def _exr(display: int, data: int) -> bytes:
    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    windows = (
        attribute(name, b"box2i", struct.pack("<4i", 0, 0, side - 1, side - 1))
        for name, side in ((b"displayWindow", display), (b"dataWindow", data))
    )
    return b"\x76\x2f\x31\x01" + struct.pack("<i", 2) + b"".join(windows) + b"\0"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", _png(2**31 - 1, 2**31 - 1)),
        ("b.png", _png(16000, 16000)),
        ("a.exr", _exr(2**20, 4)),
        ("a.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 99999 +X 99999\n"),
        ("a.pfm", b"PF\n99999 99999\n-1\n"),
        ("a.pgm", b"P5 99999 99999 255\n"),
        ("a.qoi", b"qoif" + struct.pack(">II", 99999, 99999) + b"\3\0"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_picture_that_claims_more_pixels_than_are_read_is_refused_before_they_are_made(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_image(path)
    assert caught.value.code == "footage_too_large"


def test_an_exr_whose_data_are_larger_than_its_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(_exr(64, 2**20))
    with pytest.raises(UserError) as caught:
        read_image(tmp_path / "a.exr")
    assert caught.value.code == "image_unreadable"
