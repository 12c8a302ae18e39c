"""One picture from one file, whatever its format: upright, whole, in its colours, or refused in words."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from backend.errors import UserError
from backend.footage import open_footage, probe, read_image
from tests.backend.footage.pictures import (
    Picture,
    by_ffmpeg,
    colours,
    exr,
    linear,
    oriented,
    tiled_heic,
)

pillow_heif.register_heif_opener()
PICTURE = colours()
GREY = np.asarray(Image.fromarray(PICTURE).convert("L").convert("RGB"))


def away(path: Path, picture: Picture = PICTURE) -> float:
    """How far a file's picture is from what it should be, in grey values on the mean."""
    image = read_image(path)
    assert image.dtype == np.uint8 and image.flags.c_contiguous
    assert image.shape == picture.shape
    return float(np.abs(image.astype(int) - picture).mean())


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        list(open_footage(path))
    assert path.name in caught.value.message
    return caught.value


LOSSLESS = {"png": {}, "tif": {}, "webp": {"lossless": True}}
LOSSY = {"jpg": {"quality": 95, "subsampling": 0}, "heic": {"quality": 95}, "avif": {"quality": 95}}


@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_format(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = oriented(tmp_path / f"a.{suffix}", orientation, PICTURE, **(LOSSLESS | LOSSY)[suffix])
    assert away(path) < (0.01 if suffix in LOSSLESS else 3)
    info = probe(path)
    assert (info.kind, info.width, info.height) == ("still", 96, 64)
    if suffix != "heic":  # which libheif turns by its own boxes
        sideways = info.rotation % 180 != 0
        assert (info.stored_width, info.stored_height) == ((64, 96) if sideways else (96, 64))
        assert info.mirrored == (orientation in (2, 4, 5, 7))


def test_heic_with_exif_alone_is_turned_once_with_its_own_boxes_not_twice(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(PICTURE).transpose(Image.Transpose.ROTATE_90)
    stored.save(tmp_path / "alone.heic", exif=exif, quality=95)
    stored.save(tmp_path / "both.heic", exif=exif.tobytes(), quality=95)
    assert (b"irot" in (tmp_path / "alone.heic").read_bytes(), b"irot" in (tmp_path / "both.heic").read_bytes()) == (
        False,
        True,
    )
    assert away(tmp_path / "alone.heic") < 3
    assert away(tmp_path / "both.heic") < 3


def test_tiles_of_a_heic_are_one_picture(tmp_path: Path) -> None:
    picture = colours(300, 200)
    path = tiled_heic(tmp_path / "phone.heic", picture)
    with av.open(str(path)) as container:  # what FFmpeg makes of it
        assert len(container.streams.video) == 1 or container.streams.video[0].width < 300
    assert away(path, picture) < 3
    assert (probe(path).width, probe(path).height, probe(path).codec) == (300, 200, "heif")


MODES = {
    "png": ("L", "LA", "P", "1", "RGBA", "I;16"),
    "tif": ("L", "LA", "P", "1", "CMYK", "YCbCr", "RGBA", "I;16", "F"),
    "jpg": ("L", "CMYK", "YCbCr"),
    "jp2": ("L", "LA", "RGBA", "I;16"),
    "bmp": ("L", "P", "1"),
    "tga": ("L", "LA", "P", "1", "RGBA"),
    "ppm": ("L", "1"),
    "sgi": ("L", "RGBA"),
    "pcx": ("L", "P", "1"),
    "gif": ("L", "P", "1"),
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix, modes in MODES.items() for mode in modes])
def test_every_mode_of_pixels(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(PICTURE)
    grey = np.asarray(image.convert("L"))
    deep = {"I;16": grey.astype(np.uint16) * 257, "F": grey.astype(np.float32) / 255}
    converted = Image.fromarray(deep[mode]) if mode in deep else image.convert(mode)
    path = tmp_path / f"a.{suffix}"
    converted.save(path)
    expected = {"L": GREY, "LA": GREY, "I;16": GREY, "F": GREY, "1": np.asarray(image.convert("1").convert("RGB"))}
    if mode == "P":
        expected["P"] = np.asarray(converted.convert("RGB"))
    assert away(path, expected.get(mode, PICTURE)) < 6


def test_alpha_is_left_out(tmp_path: Path) -> None:
    clear = np.dstack([PICTURE, np.tile(np.arange(96, dtype=np.uint8), (64, 1))])
    for name, options in {"a.png": {}, "a.webp": {"lossless": True, "exact": True}, "a.tif": {}}.items():
        Image.fromarray(clear).save(tmp_path / name, **options)
        assert away(tmp_path / name) == 0


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ppm", "a.jp2"])
def test_sixteen_bits_are_scaled_not_cut_off(tmp_path: Path, name: str) -> None:
    assert cv2.imwrite(str(tmp_path / name), PICTURE[..., ::-1].astype(np.uint16) * 257)
    assert away(tmp_path / name) <= 1
    if name != "a.ppm":
        assert cv2.imwrite(str(tmp_path / name), GREY[..., 0].astype(np.uint16) * 257)
        assert away(tmp_path / name, GREY) <= 1


def test_floating_point_is_read_with_its_orientation(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64):
        assert cv2.imwrite(str(tmp_path / "a.tif"), (PICTURE[..., ::-1] / 255).astype(dtype))
        assert away(tmp_path / "a.tif") < 1


def test_linear_light_gets_the_srgb_curve(tmp_path: Path) -> None:
    light = linear(PICTURE)
    for name in ("a.hdr", "a.pfm"):
        assert cv2.imwrite(str(tmp_path / name), light[..., ::-1])
        assert away(tmp_path / name) < 1.5
    assert away(exr(tmp_path / "plain.exr", light)) < 1.5
    layered = exr(tmp_path / "layered.exr", light, layer="ViewLayer.Combined")
    assert away(layered) < 1.5
    assert "ViewLayer.Combined" in probe(layered).notes[0]
    bright = exr(tmp_path / "bright.exr", np.full((8, 8, 3), 40, np.float32))
    assert (read_image(bright) == 255).all()


@pytest.mark.parametrize("pixels", ["rgb24", "rgba", "rgb48be", "rgb48le", "gbrp10be", "gbrp12le", "gray"])
def test_dpx_of_every_depth(tmp_path: Path, pixels: str) -> None:
    path = by_ffmpeg(tmp_path / "a.dpx", "dpx", pixels, PICTURE)
    assert away(path, GREY if pixels == "gray" else PICTURE) < 2
    assert probe(path).notes == ()


def test_film_densities_become_light_and_it_is_said(tmp_path: Path) -> None:
    black = 10 ** ((95 - 685) * 0.002 / 0.6)
    code = 685 + np.log10(np.maximum(linear(PICTURE) * (1 - black) + black, 1e-9)) * 0.6 / 0.002
    deep = np.clip(code / 1023 * 65535, 0, 65535).astype(np.uint16)
    path = by_ffmpeg(tmp_path / "log.dpx", "dpx", "gbrp10be", deep, "rgb48le")
    data = bytearray(path.read_bytes())
    data[801] = 1  # printing density
    path.write_bytes(bytes(data))
    assert away(path) < 2
    assert "densities" in probe(path).notes[0]


@pytest.mark.parametrize(
    ("codec", "suffix", "pixels"),
    [
        *(("targa", "tga", "bgr24"), ("targa", "tga", "bgra"), ("ppm", "ppm", "rgb48be"), ("tiff", "tif", "rgb48le")),
        *(("jpeg2000", "j2k", "rgb24"), ("png", "png", "rgba64be"), ("qoi", "qoi", "rgb24"), ("bmp", "bmp", "bgr24")),
    ],
)
def test_what_other_tools_write(tmp_path: Path, codec: str, suffix: str, pixels: str) -> None:
    assert away(by_ffmpeg(tmp_path / f"a.{suffix}", codec, pixels, PICTURE)) < 4


def test_wide_colours_come_to_srgb_by_their_profile(tmp_path: Path) -> None:
    srgb = ImageCms.createProfile("sRGB")
    lab = ImageCms.createProfile("LAB")
    known = ImageCms.ImageCmsProfile(srgb).tobytes()
    Image.fromarray(PICTURE).save(tmp_path / "srgb.png", icc_profile=known)
    assert away(tmp_path / "srgb.png") == 0
    # A profile that is none of RGB, and one that is none at all, are left unfollowed.
    Image.fromarray(PICTURE).save(tmp_path / "lab.png", icc_profile=ImageCms.ImageCmsProfile(lab).tobytes())
    Image.fromarray(PICTURE).save(tmp_path / "junk.png", icc_profile=b"no profile")
    assert away(tmp_path / "lab.png") == away(tmp_path / "junk.png") == 0
    swapped = _green_first(known)
    Image.fromarray(PICTURE).save(tmp_path / "swapped.png", icc_profile=swapped)
    assert away(tmp_path / "swapped.png", np.ascontiguousarray(PICTURE[..., [1, 0, 2]])) < 2


def _green_first(profile: bytes) -> bytes:
    """A profile whose first channel is green: the offsets of the primaries' tags change places."""
    data = bytearray(profile)
    count = struct.unpack_from(">I", data, 128)[0]
    at = {bytes(data[132 + 12 * i : 136 + 12 * i]): 136 + 12 * i for i in range(count)}
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    data[red : red + 8], data[green : green + 8] = data[green : green + 8], data[red : red + 8]
    return bytes(data).replace("sRGB".encode("utf-16-be"), "nRGB".encode("utf-16-be")).replace(b"sRGB", b"nRGB")


@pytest.mark.parametrize(
    ("suffix", "wrong"),
    [
        ("jpg", "png"),
        ("png", "jpg"),
        ("webp", "jpg"),
        ("heic", "jpg"),
        ("avif", "heic"),
        ("heic", "mov"),
        ("tif", "exr"),
    ],
)
def test_the_content_decides_not_the_name(tmp_path: Path, suffix: str, wrong: str) -> None:
    path = oriented(tmp_path / f"a.{suffix}", 6, PICTURE)
    misnamed = path.rename(tmp_path / f"b.{wrong}")
    assert away(misnamed) < 8
    assert probe(misnamed).kind == "still"


def test_what_no_decoder_takes_is_refused_in_words(tmp_path: Path) -> None:
    starts = {
        "scan.cin": b"\x80\x2a\x5f\xd7",
        "photo.jxl": b"\xff\x0a",
        "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "photo.cr2": b"II*\0\x10\0\0\0CR\2\0",
        "photo.nef": b"nothing that is known",
        "zeros.png": bytes(64),
        "photo.cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    }
    for name, start in starts.items():
        path = tmp_path / name
        path.write_bytes(start + bytes(3000))
        assert refused(path).code == "image_unreadable"


def test_raw_pictures_are_not_their_thumbnails(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "photo.dng", "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    Image.fromarray(PICTURE).save(tmp_path / "photo.nef", "TIFF", tiffinfo={254: 1})
    for name in ("photo.dng", "photo.nef"):
        assert refused(tmp_path / name).code == "image_unreadable"


def header_of(name: str, width: int, height: int) -> bytes:
    """The beginning of a file that claims a size."""
    big, little = struct.pack(">2I", width, height), struct.pack("<2I", width, height)
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    return {
        "a.ppm": b"P6 %d %d 255\n" % (width, height),
        "a.pfm": b"PF\n%d %d\n-1\n" % (width, height),
        "a.hdr": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width),
        "a.bmp": b"BM"
        + struct.pack("<IIIIii", 99, 0, 54, 40, width, height)
        + struct.pack("<HHIIiiII", 1, 24, *[0] * 6),
        "a.exr": b"\x76\x2f\x31\x01\2\0\0\0displayWindow\0box2i\0\x10\0\0\0" + box + b"\0",
        "a.dpx": b"SDPX" + bytes(768) + big + bytes(2000),
        "a.tif": b"II*\0\x08\0\0\0\2\0"
        + b"\0\1\4\0\1\0\0\0"
        + little[:4]
        + b"\1\1\4\0\1\0\0\0"
        + little[4:]
        + bytes(4),
        "a.gif": b"GIF89a" + struct.pack("<2H", width & 0xFFFF, height & 0xFFFF) + b"\0\0\0,\0\0\0\0\1\0\1\0\0",
        "a.webp": b"RIFF\x40\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0" + little[:3] + little[4:7],
        "a.qoi": b"qoif" + big + b"\3\0",
        "a.tga": b"\0\0\2" + bytes(9) + struct.pack("<2H", width & 0xFFFF, height & 0xFFFF) + b"\x18\0",
    }[name] + bytes(64 * (name != "a.webp"))


@pytest.mark.parametrize(
    "name",
    ["a.ppm", "a.pfm", "a.hdr", "a.bmp", "a.exr", "a.dpx", "a.tif", "a.gif", "a.webp", "a.qoi", "a.tga"],
)
def test_a_size_that_is_claimed_is_refused_before_it_is_allocated(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(header_of(name, 60_000, 60_000))
    assert refused(path).code == "footage_too_large"


def test_scans_without_end_are_refused(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", progressive=True)
    data = (tmp_path / "a.jpg").read_bytes()
    at = data.rfind(b"\xff\xda")
    (tmp_path / "a.jpg").write_bytes(data[:at] + data[at:-2] * 500 + data[-2:])
    assert refused(tmp_path / "a.jpg").code == "footage_too_large"


@pytest.mark.parametrize("segment", [b"\xff\xe1\0\2", b"\xff\xfe\0\2", b"\xff"], ids=["EXIF", "comments", "filling"])
def test_segments_without_end_are_refused(tmp_path: Path, segment: bytes) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", quality=95, subsampling=0)
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment * 50 + data[2:])
    assert away(tmp_path / "a.jpg") < 3
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment * 100_000 + data[2:])
    assert refused(tmp_path / "a.jpg").code == "footage_too_large"


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def test_an_orientation_behind_the_picture_of_a_png_is_followed(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(PICTURE).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    end = data.rindex(b"IEND") - 4
    (tmp_path / "a.png").write_bytes(data[:end] + png_chunk(b"eXIf", exif.tobytes()[6:]) + data[end:])
    assert away(tmp_path / "a.png") < 1


def test_chunks_without_end_are_refused(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:33] + png_chunk(b"tEXt", b"a\0b") * 20_000 + data[33:])
    assert refused(tmp_path / "a.png").code == "image_unreadable"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_sockets_and_devices_are_not_waited_for(tmp_path: Path) -> None:
    for name in ("pipe.png", "pipe.mp4"):
        os.mkfifo(tmp_path / name)
        assert refused(tmp_path / name).code == "footage_unreadable"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s.png"))
        assert refused(tmp_path / "s.png").code == "footage_unreadable"
    Image.fromarray(PICTURE).save(tmp_path / "f_1.png")
    Image.fromarray(PICTURE).save(tmp_path / "f_2.png")
    os.mkfifo(tmp_path / "f_3.png")
    assert probe(tmp_path / "f_1.png").frame_count == 2
    assert probe(tmp_path).frame_count == 2
    with pytest.raises(UserError, match=r"f_3\.png"):
        open_footage("", files=[tmp_path / "f_1.png", tmp_path / "f_3.png"])


def test_a_damaged_exif_block_is_no_reason_to_refuse(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.jpg", quality=95, subsampling=0, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert away(tmp_path / "a.jpg") < 3
