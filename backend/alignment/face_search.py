"""The faces of a picture, whichever way up they are.

MediaPipe's detectors take a face that is turned by more than about a right angle for an upright one, with its mouth in
the hair, and MediaPipe's landmark network believes that with a presence of 1. Which way up a face is tells the
detector's score in the picture as it is and turned by 90°, 180° and 270°: on 532 turned pictures (the photographs and
frames of the clips of ``../shared/data``, turned by any angle) the best of the four was always the right one, by 0.04
at least and 0.25 in the median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.alignment.types import FaceFinder
from backend.observations import FaceBox, overlap

Image = NDArray[np.uint8]

SURE_SCORE = 0.9
"""Score from which the detector is not asked again with the picture turned: upside down it reached at most 0.87."""
TURNED_OVER = float(np.deg2rad(90))
"""The difference of two rolls beyond which they are not two looks at one face the same way up."""
_QUARTER = float(np.pi / 2)
_SAME_PLACE = 0.6  # distance of two boxes' centres, in sides, within which they may show one face


def search_image(finder: FaceFinder, image: Image, *, thoroughly: bool = True) -> list[FaceBox]:
    """Faces of an RGB image (H,W,3), largest first, each with its true roll.

    Only ``thoroughly`` finds those that the finder does not see at all unless the picture is turned, and small ones.
    """
    if not thoroughly:
        return _settled(finder, image, finder.find(image, thoroughly=False))
    looks = [_find_turned(finder, image, turn, thoroughly=False) for turn in range(4)]
    boxes = _best([box for look in looks for box in look])
    if boxes:
        return _largest_first([_seen_upright(box, looks) for box in boxes])
    for turn in (0, 2):  # the detectors see what is turned by up to about a right angle
        boxes = _find_turned(finder, image, turn, thoroughly=True)
        if boxes:
            break
    return _settled(finder, image, boxes)


def search_again(finder: FaceFinder, image: Image, last: FaceBox, *, thoroughly: bool) -> list[FaceBox]:
    """Faces that may be the one last seen in the box ``last``, near it and elsewhere, best known turn first."""
    turn = _turn_of(last)
    near = _near_turned(finder, image, last, turn)
    return near + _find_turned(finder, image, turn, thoroughly=thoroughly)


def search_turned_like(finder: FaceFinder, image: Image, face: FaceBox) -> list[FaceBox]:
    """Faces of an image, largest first, seen with it turned so that ``face`` stands upright."""
    return _largest_first(_find_turned(finder, image, _turn_of(face), thoroughly=True))


def the_right_way_up(finder: FaceFinder, image: Image, box: FaceBox) -> FaceBox:
    """The box of the same face as the finder sees it best, of four looks at its neighbourhood turned by right angles;
    ``box`` itself where that is the same way up, where the finder is sure of it, or sees nothing there."""
    if box.score >= SURE_SCORE:
        return box
    looks = [[box], [], [], []]
    for turn in range(4):
        near = _near_turned(finder, image, box, turn)
        looks[turn] += [found for found in near if _same_place(found, box)]
    return _seen_upright(max((found for look in looks for found in look), key=lambda found: found.score), looks)


def turned_apart(a: FaceBox, b: FaceBox) -> float:
    """The angle between two faces' rolls, radians, 0…π."""
    return float(abs(np.angle(np.exp(1j * (a.roll - b.roll)))))


def _settled(finder: FaceFinder, image: Image, boxes: Sequence[FaceBox]) -> list[FaceBox]:
    return _largest_first(_best([the_right_way_up(finder, image, box) for box in boxes]))


def _best(boxes: Sequence[FaceBox]) -> list[FaceBox]:
    """One box for each face, the best scored of those that may be looks at one face turned differently."""
    kept: list[FaceBox] = []
    for box in sorted(boxes, key=lambda box: -box.score):
        if not any(
            overlap(box, other) >= 0.3 or (_same_place(box, other) and turned_apart(box, other) > _QUARTER / 2)
            for other in kept
        ):
            kept.append(box)
    return kept


def _seen_upright(box: FaceBox, looks: Sequence[Sequence[FaceBox]]) -> FaceBox:
    """The box of the same face the same way up from the look, of four turned ones, in which it stands most upright:
    scores differ little between that and its neighbours, boxes fit best there."""
    alike = (o for o in looks[_turn_of(box)] if _same_place(box, o) and turned_apart(box, o) < _QUARTER / 2)
    return next(alike, box)


def _largest_first(boxes: Sequence[FaceBox]) -> list[FaceBox]:
    return sorted(boxes, key=lambda box: -box.area)


def _same_place(a: FaceBox, b: FaceBox) -> bool:
    (ax, ay), (bx, by) = a.centre, b.centre
    return float(np.hypot(ax - bx, ay - by)) <= _SAME_PLACE * max(a.width, a.height, b.width, b.height)


def _turn_of(box: FaceBox) -> int:
    """The quarter turns clockwise after which a face stands most upright."""
    return round(-box.roll / _QUARTER) % 4


def _find_turned(finder: FaceFinder, image: Image, turn: int, *, thoroughly: bool) -> list[FaceBox]:
    height, width = image.shape[:2]
    boxes = finder.find(_turned(image, turn), thoroughly=thoroughly)
    return [_turned_back(box, turn, width, height) for box in boxes]


def _near_turned(finder: FaceFinder, image: Image, box: FaceBox, turn: int) -> list[FaceBox]:
    """Faces in three times the box's size, seen with that part of the picture turned."""
    (x, y), reach = box.centre, 1.5 * max(box.width, box.height)
    height, width = image.shape[:2]
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    part = image[top : min(height, int(y + reach) + 1), left : min(width, int(x + reach) + 1)]
    if min(part.shape[:2]) < 16:
        return []
    found = _find_turned(finder, part, turn, thoroughly=False)
    return [replace(other, left=other.left + left, top=other.top + top) for other in found]


def _turned(image: Image, turn: int) -> Image:
    return np.ascontiguousarray(np.rot90(image, -turn))


def _turned_back(box: FaceBox, turn: int, width: int, height: int) -> FaceBox:
    """A box of a picture that was turned clockwise, in the picture of ``width`` × ``height`` as it was."""
    left, top = box.left, box.top
    right, bottom = left + box.width, top + box.height
    if turn == 1:
        left, top, right, bottom = top, height - right, bottom, height - left
    elif turn == 2:
        left, top, right, bottom = width - right, height - bottom, width - left, height - top
    elif turn == 3:
        left, top, right, bottom = width - bottom, left, width - top, right
    roll = float(np.angle(np.exp(1j * (box.roll - turn * _QUARTER))))
    return FaceBox(left, top, right - left, bottom - top, box.score, roll)
