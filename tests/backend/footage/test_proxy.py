"""A proxy has the picture that was tracked on every frame of the scene, and is made once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from backend.errors import Cancelled
from backend.footage import Footage, open_footage
from backend.footage.proxy import TooLong, held_pictures, write_proxy
from protocol.shown import HeldPictures

SIZE = (51, 33)


def sequence(folder: Path, numbers: Sequence[int], size: tuple[int, int] = SIZE) -> Footage:
    """Pictures whose grey is ten times their number."""
    folder.mkdir()
    for number in numbers:
        Image.new("RGB", size, (10 * number,) * 3).save(folder / f"a_{number:04d}.png")
    return open_footage(folder)


def write(path: Path, footage: Footage, first: int, numbers: Sequence[int], **calls: object) -> list[tuple[int, int]]:
    """Write a proxy; what it said of its progress."""
    said: list[tuple[int, int]] = []
    write_proxy(
        path,
        footage,
        HeldPictures(first, np.array(numbers)),
        25.0,
        on_progress=lambda *at: said.append(at),
        should_cancel=calls.get("should_cancel", lambda: False),  # type: ignore[arg-type]
    )
    return said


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("size", [(64, 40), SIZE, (64, 41)])
def test_every_scene_frame_has_its_picture(tmp_path: Path, size: tuple[int, int]) -> None:
    footage = sequence(tmp_path / "in", (3, 7, 8, 20), size)
    numbers = [3, 3, 7, 8, 8, 8, 20]
    said = write(tmp_path / "proxy" / "a.mp4", footage, 5, numbers)
    shown = pictures(tmp_path / "proxy" / "a.mp4")
    assert [round(float(picture.mean()) / 10) for picture in shown] == numbers
    assert {picture.shape for picture in shown} == {(size[1], size[0], 3)}, "sides that are odd stay so"
    assert said[-1] == (7, 7)
    assert [path.name for path in (tmp_path / "proxy").iterdir()] == ["a.mp4"]


def test_no_picture_needs_a_later_one_and_few_need_many(tmp_path: Path) -> None:
    footage = sequence(tmp_path / "in", range(1, 25))
    write(tmp_path / "a.mp4", footage, 1, range(1, 25))
    with av.open(str(tmp_path / "a.mp4")) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    assert all(packet.pts == packet.dts for packet in packets)
    assert np.diff([i for i, packet in enumerate(packets) if packet.is_keyframe]).max() <= 10


def test_a_part_of_the_footage_makes_a_proxy_of_that(tmp_path: Path) -> None:
    sequence(tmp_path / "in", range(1, 25))
    write(tmp_path / "a.mp4", open_footage(tmp_path / "in", (4, 24)), 4, [4, 5, 6])
    assert [round(float(picture.mean()) / 10) for picture in pictures(tmp_path / "a.mp4")] == [4, 5, 6]


def test_a_still_is_kept_without_loss(tmp_path: Path) -> None:
    random = np.random.default_rng(1).integers(0, 255, (*SIZE[::-1], 3), np.uint8)
    Image.fromarray(random).save(tmp_path / "face.png")
    write(tmp_path / "proxy.png", open_footage(tmp_path / "face.png"), 1, [1])
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "proxy.png")), random)


@pytest.mark.parametrize("name", ["a.mp4", "a.png"])
def test_a_proxy_is_made_once_for_the_same_pictures(tmp_path: Path, name: str) -> None:
    if name == "a.mp4":
        footage, numbers = sequence(tmp_path / "in", (1, 2, 3)), [1, 2, 2, 3]
        source = tmp_path / "in" / "a_0002.png"
    else:
        source = tmp_path / "face.png"
        Image.new("RGB", SIZE, (9, 9, 9)).save(source)
        footage, numbers = open_footage(source), [1]
    write(tmp_path / name, footage, 1, numbers)
    made = (tmp_path / name).stat().st_mtime_ns
    assert write(tmp_path / name, footage, 1, numbers) == []
    assert (tmp_path / name).stat().st_mtime_ns == made
    os.utime(source, ns=(5, 5))
    write(tmp_path / name, footage, 1, numbers)
    again = (tmp_path / name).stat().st_mtime_ns
    assert (again != made) == (name == "a.png" or bool(footage.info.files))
    write(tmp_path / name, footage, 2, numbers)
    assert (tmp_path / name).stat().st_mtime_ns != again


def test_what_was_there_stays_when_the_job_is_cancelled(tmp_path: Path) -> None:
    footage = sequence(tmp_path / "in", (1, 2))
    (tmp_path / "a.mp4").write_bytes(b"half a proxy")
    with pytest.raises(Cancelled):
        write(tmp_path / "a.mp4", footage, 1, [1] * 1000, should_cancel=lambda: True)
    assert (tmp_path / "a.mp4").read_bytes() == b"half a proxy"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "in"]


def test_holds_are_bounded_before_anything_is_made() -> None:
    held = held_pictures(np.array([1.0, 5000.0]), np.array([1, 2]))
    assert len(held.numbers) == 5000
    for frames in ([1.0, 9e5], [1.0, 1e15], [2e6, 2e6 + 1]):
        with pytest.raises(TooLong, match="2 pictures are spread"):
            held_pictures(np.array(frames), np.array([1, 2]))
