"""One training picture and what is known of it. Both the renderer and the real pictures make these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.alignment.crop import Crop

NOMINAL = 192
"""Pixels; the side of the face's nominal crop in a sample where nothing else is asked for."""
SAMPLE_SIDE = 288
"""Pixels; the side of such a sample. The nominal crop fills its middle, so that augmentation may turn, shift and shrink
a crop of 1.2 to 1.5 times the nominal one before it leaves the picture."""


def sample_side(nominal: int) -> int:
    """The side, in pixels, of the sample whose nominal crop has a side of ``nominal``, an even number."""
    return nominal * 3 // 2


@dataclass(frozen=True, eq=False)
class Sample:
    """A square picture of one face, before augmentation.

    ``image (S,S,3)`` uint8 RGB, S = ``sample_side`` of the nominal crop's. ``mu (P,2)`` float32, pixels of that picture
    ((0,0) its top-left corner): where ``AtlasPoints`` lie; anything finite where unknown. ``weight (P,)`` float32: how
    much each point's place counts, 0 where it is not known; it includes λ and, for labels that are guesses, their
    confidence.
    ``visible (P,)`` bool: not hidden behind the head itself or what it wears; True where nobody knows.
    ``foreground (S,S)`` uint8: 255 on head and shoulders, so that backgrounds can be replaced; all 255 where unknown.
    ``crop``: the square around the face that a perfect detector would cut out, in pixels of this picture.
    """

    image: NDArray[np.uint8]
    mu: NDArray[np.float32]
    weight: NDArray[np.float32]
    visible: NDArray[np.bool_]
    foreground: NDArray[np.uint8]
    crop: Crop
    source: str  # "open", "ict", "photo" or "clip", then what identifies it: for contact sheets and reports
