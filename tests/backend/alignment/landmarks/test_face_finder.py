"""The turn of a face in the image, from the detector's own points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.data import astronaut

from backend.alignment.landmarks.face_finder import BlazeFaceFinder, roll_of
from backend.footage import open_footage
from backend.observations import FaceBox

FRONT = np.array([(-30.0, 0.0), (30.0, 0.0), (0.0, 60.0)])  # right eye, left eye, mouth
PROFILE = np.array([(2.0, 1.0), (-3.0, -1.0), (8.0, 55.0)])  # both eyes in one place, in the wrong order


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """Clockwise as seen."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return points @ np.array([[c, s], [-s, c]])


@pytest.mark.parametrize("degrees", [-170, -90, -20, 0, 35, 120])
def test_a_face_is_turned_as_its_eyes_are(degrees: float) -> None:
    assert np.rad2deg(roll_of(*turned(FRONT, degrees))) == pytest.approx(degrees)


@pytest.mark.parametrize("degrees", [-60, 0, 90])
def test_in_profile_the_mouth_tells(degrees: float) -> None:
    off = np.rad2deg(roll_of(*turned(PROFILE, degrees))) - degrees
    assert abs((off + 180) % 360 - 180) < 15


def test_no_profile_of_the_scan_is_upside_down(shared_data: Path) -> None:
    """In its view_05 the detector sees the left eye to the right of the other one."""
    finder = BlazeFaceFinder()
    for number in (3, 4, 5, 6):
        picture = shared_data / "scan" / "lee_perry_smith" / f"view_{number:02d}.jpg"
        box = finder.find(next(iter(open_footage(picture, alone=True))).image)[0]
        assert abs(np.rad2deg(box.roll)) < 30
    finder.close()


@pytest.fixture(scope="module")
def alone() -> Iterator[BlazeFaceFinder]:
    made = BlazeFaceFinder()
    yield made
    made.close()


def placed(side: int, left: int, top: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The astronaut, ``side`` pixels across (her face a quarter of it), in a large picture of noise."""
    canvas = np.random.default_rng(side).integers(80, 110, (*shape, 3), dtype=np.uint8)
    canvas[top : top + side, left : left + side] = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA)
    return canvas


@pytest.mark.parametrize(("side", "left", "top"), [(512, 700, 500), (200, 60, 800), (120, 1500, 700), (130, 900, 30)])
def test_faces_of_any_size_are_found_where_they_are(alone: BlazeFaceFinder, side: int, left: int, top: int) -> None:
    (box,) = alone.find(placed(side, left, top, (1080, 1920)))
    face = np.array(box.centre) - (left, top)
    np.testing.assert_allclose(face / side, (0.44, 0.25), atol=0.05)
    assert 0.12 < box.width / side < 0.25
    assert abs(box.roll) < 0.35


@pytest.mark.parametrize("degrees", [-45, -25, 25, 45])
def test_a_face_that_lies_on_its_side_is_found_with_its_roll(alone: BlazeFaceFinder, degrees: int) -> None:
    straight = alone.find(astronaut())[0]
    affine = cv2.getRotationMatrix2D((225, 125), -degrees, 1)
    turned = cv2.warpAffine(astronaut(), affine, (512, 400), borderMode=cv2.BORDER_REPLICATE)
    box = alone.find(np.asarray(turned, np.uint8))[0]
    assert np.hypot(box.centre[0] - 225, box.centre[1] - 125) < 20
    assert abs(np.rad2deg(box.roll - straight.roll) - degrees) < 14


def test_a_look_at_the_whole_alone_does_not_search(alone: BlazeFaceFinder) -> None:
    picture = placed(130, 900, 30, (1080, 1920))
    assert alone.find(picture, thoroughly=False) == []
    (box,) = alone.near(picture, FaceBox(925, 30, 60, 60))
    assert abs(box.centre[0] - 957) < 8
    assert alone.near(picture, FaceBox(2500, 20, 60, 60)) == []


def test_small_and_far_faces_are_found_in_tiles(finder: BlazeFaceFinder, portrait: NDArray[np.uint8]) -> None:
    wide = np.full((1080, 1920, 3), 90, np.uint8)
    small = cv2.resize(portrait, (80, 80), interpolation=cv2.INTER_AREA)  # a face of about 30 px
    wide[700:780, 1500:1580] = small
    (box,) = finder.find(wide)
    assert 1500 < box.centre[0] < 1580
    assert 700 < box.centre[1] < 780


def test_both_people_are_found(shared_data: Path, finder: BlazeFaceFinder) -> None:
    frame = next(iter(open_footage(shared_data / "clips" / "intel_headpose_two_people.mp4")))
    assert len(finder.find(frame.image)) == 2
    assert finder.find(np.zeros((200, 300, 3), np.uint8)) == []
