"""Boxes and crops of the alignment network: they say the same, so that one frame's box is the next frame's crop."""

from __future__ import annotations

import numpy as np

from backend.alignment import crop
from backend.alignment.crop import Crop
from backend.observations import FaceBox

SIDE, LIFT = 1.49, 0.1
"""A crop's side over its box's, and how far its centre lies above the box's, in sides of the box. Boxes are those of
MediaPipe's detector, a square from the brows to below the mouth; measured against ``CropLayout``'s crops on 14
photographs of training and dev people (± 0.03 and ± 0.02)."""

SHIFT, STRETCH, TURN = 0.05, 1.12, float(np.deg2rad(12))
"""Most distance of two crops (share of the side, factor of the side, radians) that leaves the network the same view.

It is less than what augmentation taught it to bear.
"""


def crop_of(box: FaceBox, size: int) -> Crop:
    """The crop of ``size`` pixels for a box, turned with it."""
    (x, y), side = box.centre, max(box.width, box.height)
    up = LIFT * side
    return Crop(x + up * np.sin(box.roll), y - up * np.cos(box.roll), SIDE * side, box.roll, size=size)


def box_of(crop: Crop, score: float) -> FaceBox:
    """The box that leads to a crop (one that is not mirrored): ``crop_of`` undoes it."""
    side = crop.side / SIDE
    x, y = crop.x - LIFT * side * np.sin(crop.roll), crop.y + LIFT * side * np.cos(crop.roll)
    return FaceBox(float(x - side / 2), float(y - side / 2), side, side, score, crop.roll)


def alike(a: Crop, b: Crop) -> bool:
    """True where two crops show so nearly the same that looking at the other one would tell nothing new."""
    return crop.alike(a, b, shift=SHIFT, stretch=STRETCH, turn=TURN)
