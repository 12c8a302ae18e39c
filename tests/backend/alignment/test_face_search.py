from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from backend.alignment.face_following import align_frames
from backend.alignment.face_search import search_again, search_image, the_right_way_up, turned_apart
from backend.alignment.types import Aligner, FaceFinder
from backend.observations import Alignment, FaceBox
from tests.backend.alignment.shots import Picture, as_frames

F64 = NDArray[np.float64]
FACE = np.asarray(data.astronaut()[:300, 60:400], np.uint8)
LEFT_EYE, RIGHT_EYE = 263, 33  # outer corners, the subject's


def turned(picture: Picture, degrees: float) -> tuple[Picture, F64]:
    """The picture turned clockwise in a frame that holds all of it, and the map (2,3) of its points there."""
    height, width = picture.shape[:2]
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = np.array([[c, -s], [s, c]])
    size = round(width * abs(c) + height * abs(s)), round(width * abs(s) + height * abs(c))
    points = np.column_stack([turn, np.array(size) / 2 - turn @ (width / 2, height / 2)])
    pixels = points.copy()
    pixels[:, 2] += turn @ (0.5, 0.5) - 0.5
    seen = cv2.warpAffine(picture, pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.uint8), points


def aligned(pictures: list[Picture], aligner: Aligner, finder: FaceFinder) -> list[Alignment | None]:
    return [frame.alignment for frame in align_frames(as_frames(pictures), aligner, finder=finder)]


def error(seen: Alignment, upright: Alignment, points: F64) -> float:
    """Median distance of the surface points from those of the upright picture turned alike, over the eyes' distance."""
    wanted = upright.mu[:468] @ points[:, :2].T + points[:, 2]
    eyes = np.linalg.norm(wanted[LEFT_EYE] - wanted[RIGHT_EYE])
    return float(np.median(np.linalg.norm(seen.mu[:468] - wanted, axis=1)) / eyes)


@pytest.mark.slow
def test_a_face_turned_by_any_angle_is_aligned_as_the_upright_one(aligner: Aligner, finder: FaceFinder) -> None:
    [upright] = aligned([FACE], aligner, finder)
    assert upright is not None
    for degrees in (90, 110, 135, 160, 180, 200, 225, 250, 270, 315):
        picture, points = turned(FACE, degrees)
        [seen] = aligned([picture], aligner, finder)
        assert seen is not None, degrees
        assert error(seen, upright, points) < 0.03, degrees
        assert np.cos(seen.box.roll - upright.box.roll - np.deg2rad(degrees)) > 0.99, degrees


@pytest.mark.slow
def test_faces_of_photographs_are_found_the_right_way_up(
    portraits: list[Picture], aligner: Aligner, finder: FaceFinder
) -> None:
    for number, portrait in enumerate(portraits):
        [upright] = aligned([portrait], aligner, finder)
        assert upright is not None
        for degrees in (180, 100 + 23 * number):
            picture, points = turned(portrait, degrees)
            [seen] = aligned([picture], aligner, finder)
            assert seen is not None and error(seen, upright, points) < 0.03, (number, degrees)


def test_an_upside_down_face_is_followed_and_found_again(aligner: Aligner, finder: FaceFinder) -> None:
    [upside_down] = [np.ascontiguousarray(FACE[::-1, ::-1])]
    hidden = np.full_like(FACE, 120)
    seen = aligned([upside_down, upside_down, hidden, upside_down], aligner, finder)
    assert [alignment is None for alignment in seen] == [False, False, True, False]
    assert all(np.cos(alignment.box.roll) < -0.95 for alignment in seen if alignment is not None)


def test_a_face_that_turns_over_is_followed_round(aligner: Aligner, finder: FaceFinder) -> None:
    angles = np.arange(0, 360, 20)
    square = cv2.resize(FACE[:300, :300], (256, 256))
    pictures = []
    for angle in angles:
        about = cv2.getRotationMatrix2D((128, 128), -float(angle), 1)
        turned_about = cv2.warpAffine(square, about, (256, 256), borderMode=cv2.BORDER_REPLICATE)
        pictures.append(np.asarray(turned_about, np.uint8))
    seen = aligned(pictures, aligner, finder)
    rolls = np.array([np.nan if alignment is None else alignment.box.roll for alignment in seen])
    assert (np.cos(rolls - rolls[0] - np.deg2rad(angles)) > 0.97).all()


def test_boxes_of_a_turned_picture_lie_on_the_face(finder: FaceFinder) -> None:
    [upright] = search_image(finder, FACE)
    for degrees in (90, 180, 270):
        picture, points = turned(FACE, degrees)
        [box] = search_image(finder, picture)
        centre = points[:, :2] @ upright.centre + points[:, 2]
        assert np.hypot(*(np.array(box.centre) - centre)) < 0.1 * upright.width
        assert np.cos(box.roll - upright.roll - np.deg2rad(degrees)) > 0.9
        near = search_again(finder, picture, box, thoroughly=False)
        assert any(turned_apart(found, box) < 0.3 for found in near)


def test_a_wrong_roll_is_put_right_and_a_sure_one_kept(finder: FaceFinder) -> None:
    picture, _ = turned(FACE, 180)
    [box] = search_image(finder, picture)
    doubted = FaceBox(box.left, box.top, box.width, box.height, 0.6, 0.0)
    assert turned_apart(the_right_way_up(finder, picture, doubted), box) < 0.3
    sure = FaceBox(box.left, box.top, box.width, box.height, 0.99, 0.0)
    assert the_right_way_up(finder, picture, sure) is sure


def test_there_is_no_face_on_a_wall(finder: FaceFinder) -> None:
    wall = np.full((200, 300, 3), 140, np.uint8)
    assert search_image(finder, wall) == []
    nowhere = FaceBox(10, 10, 50, 50, 0.6)
    assert the_right_way_up(finder, wall, nowhere) is nowhere
    assert search_again(finder, wall, FaceBox(-400, -400, 50, 50), thoroughly=False) == []
