from __future__ import annotations

import struct
import zlib
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from backend.errors import UserError
from backend.footage import open_footage, probe, read_image
from tests.backend.footage.clips import read_stamp, stamped


def write_images(folder: Path, numbers: list[int], pattern: str = "shot.{:04d}.png") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / pattern.format(number) for number in numbers]
    for number, file in zip(numbers, files, strict=True):
        assert cv2.imwrite(str(file), stamped(number)[..., ::-1])
    return files


def code_of(path: Path, frames: tuple[int, int] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        list(open_footage(path, frames))
    return caught.value.code


@pytest.mark.parametrize("given_as", ["", "shot.%04d.png", "shot.####.png", "shot.*.png", "shot.1003.png"])
def test_a_sequence_however_it_is_named(tmp_path: Path, given_as: str) -> None:
    folder = tmp_path / "plates"
    write_images(folder, [1001, 1002, 1003, 1006])
    write_images(folder, [7, 8], "other_{:02d}.png")
    footage = open_footage(folder / given_as)
    info = footage.info
    assert (info.kind, info.first_frame, info.last_frame, info.frame_count) == ("sequence", 1001, 1006, 4)
    assert info.missing_frames == 2
    frames = list(footage)
    assert [frame.number for frame in frames] == [1001, 1002, 1003, 1006]
    assert [read_stamp(frame.image) for frame in frames] == [n & 1023 for n in (1001, 1002, 1003, 1006)]
    assert [frame.scene_frame for frame in frames] == [1001, 1002, 1003, 1006]
    assert frames[-1].time == pytest.approx(5 / 24)


def test_a_range_of_a_sequence(tmp_path: Path) -> None:
    write_images(tmp_path, [1, 2, 3, 7, 8])
    footage = open_footage(tmp_path, (3, 7), sequence_rate=25)
    assert [frame.number for frame in footage] == [3, 7]
    assert footage.total == 2
    assert [frame.time for frame in footage] == pytest.approx([2 / 25, 6 / 25])
    assert code_of(tmp_path, (4, 6)) == "frames_out_of_range"
    assert code_of(tmp_path, (9, 12)) == "frames_out_of_range"


def test_one_image_is_a_still(tmp_path: Path) -> None:
    (file,) = write_images(tmp_path, [42], "portrait{:03d}.jpg")
    for given_as in (file, tmp_path):
        footage = open_footage(given_as)
        assert footage.info.kind == "still"
        (frame,) = footage
        assert (frame.number, frame.time, frame.scene_frame) == (1, 0.0, 1.0)
        assert read_stamp(frame.image) == 42


def test_a_number_without_neighbours_is_a_still(tmp_path: Path) -> None:
    files = write_images(tmp_path, [3, 12, 40], "IMG_{:d}.png")
    assert probe(files[1]).kind == "still"


def test_sixteen_bit_grey_and_alpha(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    deep = np.broadcast_to(ramp, (8, 256)).copy()
    cv2.imwrite(str(tmp_path / "deep.png"), np.stack([deep] * 3, axis=-1))
    np.testing.assert_allclose(read_image(tmp_path / "deep.png")[0, :, 0], np.arange(256), atol=1)
    cv2.imwrite(str(tmp_path / "grey.tif"), deep)
    grey = read_image(tmp_path / "grey.tif")
    assert grey.shape == (8, 256, 3)
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    colour = np.zeros((4, 4, 4), np.uint8)
    colour[...] = (10, 20, 200, 128)  # blue, green, red, half transparent
    cv2.imwrite(str(tmp_path / "alpha.png"), colour)
    np.testing.assert_array_equal(read_image(tmp_path / "alpha.png")[0, 0], (200, 20, 10))


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    upright = np.zeros((64, 96, 3), np.uint8)
    upright[:32, :48] = (250, 20, 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by 90° to display
    stored = np.ascontiguousarray(np.rot90(upright))
    Image.fromarray(stored).save(tmp_path / "phone.jpg", exif=exif, quality=95, subsampling=0)
    footage = open_footage(tmp_path / "phone.jpg")
    assert (footage.info.rotation, footage.info.width, footage.info.height) == (90, 96, 64)
    (frame,) = footage
    np.testing.assert_allclose(frame.image.astype(int), upright, atol=40)


def test_linear_exr_gets_the_srgb_curve(tmp_path: Path) -> None:
    linear = np.full((16, 16, 3), 0.2140, np.float32)  # mid-grey: 0.5 after the curve
    planes = np.stack([linear[..., 1], linear[..., 2], linear[..., 0]])
    frame = av.VideoFrame(16, 16, "gbrpf32le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((16, plane.line_size // 4), np.float32)
        rows[:, :16] = values
        plane.update(rows.tobytes())
    with av.open(str(tmp_path / "plate.exr"), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream("exr", rate=24)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "gbrpf32le"
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(read_image(tmp_path / "plate.exr")[8, 8].astype(int), 128, atol=2)


def test_a_broken_image_is_named_when_its_turn_comes(tmp_path: Path) -> None:
    files = write_images(tmp_path, [1, 2, 3])
    files[1].write_bytes(files[1].read_bytes()[:40])
    seen = []
    with pytest.raises(UserError) as caught:
        seen.extend(frame.number for frame in open_footage(tmp_path))
    assert caught.value.code == "image_unreadable"
    assert files[1].name in caught.value.message


def test_images_of_different_sizes_are_refused(tmp_path: Path) -> None:
    files = write_images(tmp_path, [1, 2])
    cv2.imwrite(str(files[1]), np.zeros((50, 70, 3), np.uint8))
    assert code_of(tmp_path) == "footage_sizes_differ"
    assert [frame.number for frame in open_footage(tmp_path, (1, 1))] == [1]


def test_a_header_that_claims_too_much_is_refused_unread(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0))
    assert code_of(bomb) == "footage_too_large"


def test_folders_without_a_sequence(tmp_path: Path) -> None:
    assert code_of(tmp_path) == "footage_no_images"
    (tmp_path / "notes.txt").write_text("no images here")
    assert code_of(tmp_path) == "footage_no_images"
    for name in ("anna.png", "berta.png"):
        cv2.imwrite(str(tmp_path / name), stamped(1))
    assert code_of(tmp_path) == "footage_no_images"
    assert code_of(tmp_path / "missing.####.png") == "footage_no_images"
    assert code_of(tmp_path / "absent.png") == "footage_missing"
