"""The pictures of a take without their lens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from backend.cameras.distortion import Lens, undistort
from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.pictures import TakePicture, take_pictures
from backend.track.types import CameraTrack, Track
from protocol.arrays import at_frames
from tests.blender.runners import performance

SIZE = (96, 72)
FOCAL, CENTRE, RATIO, DISTORTION = 90.0, (49.5, 34.0), 1.02, (0.18, 0.05, 0.002, -0.003)


def waves(points: NDArray[np.float64], frame: int) -> NDArray[np.float64]:
    """A smooth picture (…,3) of points (…,2) in ideal pixels, another in each frame."""
    x, y = points[..., 0], points[..., 1]
    return np.stack(
        [120 + 80 * np.sin(x / 6 + frame), 120 + 80 * np.cos(y / 5 - frame), 100 + 60 * np.sin((x + y) / 8)], axis=-1
    )


def centres() -> NDArray[np.float64]:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    return np.stack([x + 0.5, y + 0.5], axis=-1)


def written(folder: Path, numbers: tuple[int, ...], places: NDArray[np.float64]) -> CameraTrack:
    """A camera whose footage, images with these numbers, shows the waves at ``places (H,W,2)``."""
    for number in numbers:
        picture = np.clip(np.round(waves(places, number)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"shot_{number:04d}.png"), picture[..., ::-1])
    files = tuple(f"shot_{number:04d}.png" for number in numbers)
    camera = performance(str(folder / files[0])).cameras[0]
    return replace(
        camera,
        footage_kind="sequence",
        footage_files=files,
        footage_numbers=numbers,
        image_size=SIZE,
        focal_px=np.full(4, FOCAL),
        principal_point=np.array(CENTRE),
        world_to_camera=camera.world_to_camera[:4],
        footage_frames=np.array([numbers[0], numbers[0], -1, numbers[-1]]),
    )


def take(camera: CameraTrack) -> Track:
    track = at_frames(performance(camera.footage), np.arange(4))
    return replace(track, cameras=(camera,))


@pytest.fixture
def plain(tmp_path: Path) -> Track:
    return take(written(tmp_path, (3, 4, 7), centres()))


@pytest.fixture
def through_a_lens(tmp_path: Path) -> Track:
    places = undistort(centres(), Lens(FOCAL, CENTRE, RATIO, DISTORTION)).points
    camera = written(tmp_path, (3, 4, 7), places)
    return take(replace(camera, focal_ratio=RATIO, distortion=DISTORTION))


def test_pictures_come_at_the_frames_of_the_take(plain: Track) -> None:
    found = list(take_pictures(plain))
    assert [picture.frame for picture in found] == [0, 1, 3]  # the third frame has none, and two share one
    for picture, number in zip(found, (3, 3, 7), strict=True):
        assert np.array_equal(picture.image, np.clip(np.round(waves(centres(), number)), 0, 255).astype(np.uint8))
        assert picture.shown.all()
    assert [picture.frame for picture in take_pictures(plain, 0, np.array([2, 3]))] == [3]


def test_the_lens_is_taken_out(through_a_lens: Track) -> None:
    picture: TakePicture = next(iter(take_pictures(through_a_lens)))
    inside = cv2.erode(picture.shown.astype(np.uint8), np.ones((7, 7))) > 0
    error = np.abs(picture.image - waves(centres(), 3))
    assert error[inside].max() < 4  # grey levels; half a pixel of shift were up to 7
    assert error[inside].mean() < 0.6
    assert 0.7 < inside.mean() < 1
    assert not picture.image[~picture.shown].any()


def test_footage_that_is_gone_is_named_with_what_to_do(plain: Track) -> None:
    for name in plain.cameras[0].footage_files:
        (Path(plain.cameras[0].footage).parent / name).unlink()
    with pytest.raises(UserError) as raised:
        list(take_pictures(plain))
    assert "shot_0003.png" in raised.value.message
    assert "reads the footage again" in raised.value.hint


def test_footage_of_another_size_is_refused(plain: Track) -> None:
    other = replace(plain.cameras[0], image_size=(640, 480))
    with pytest.raises(UserError) as raised:
        list(take_pictures(replace(plain, cameras=(other,))))
    assert raised.value.code == ErrorCode.FOOTAGE_SIZES_DIFFER
    assert "96 × 72" in raised.value.message and "640 × 480" in raised.value.message


def test_it_can_be_called_off(plain: Track) -> None:
    with pytest.raises(Cancelled):
        list(take_pictures(plain, should_cancel=lambda: True))
