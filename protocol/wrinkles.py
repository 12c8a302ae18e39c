"""What a person's wrinkles may be on the wire: four square maps whose size is known before anybody makes room for them.

``wrinkles (4,S,S)`` are the displacement that is always there, what a tension of 1 adds where the skin is stretched and
where it is compressed, all in metres, + outwards, and how far the footage told, 0 to 1; on the head's atlas, row 0 its
top. Half floats tell metres of this size to 0.5 µm.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .codec import ProtocolError
from .codes import ProtocolCode

BASE, STRETCH, COMPRESSION, SEEN = range(4)
MAPS = 4
MAX_WRINKLES_SIDE = 4096
DEEPEST = 0.05
"""Metres: no tension that a face comes to adds as much, nor is anything on a face that is no shape of it as deep."""


def check_wrinkles(maps: NDArray[Any]) -> None:
    """Refuse maps that are too large, or no wrinkles; none at all are right, too.

    Raises:
        ProtocolError: ``bad_take``.
    """
    if not maps.size:
        return
    if maps.ndim != 3 or maps.shape[0] != MAPS or maps.shape[1] != maps.shape[2] or maps.shape[1] > MAX_WRINKLES_SIDE:
        sentence = f"“take/wrinkles” has shape {maps.shape}, expected ({MAPS}, S, S) with S ≤ {MAX_WRINKLES_SIDE}."
        raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)
    if not (np.abs(maps[:SEEN]).max() <= DEEPEST and maps[SEEN].min() >= 0 and maps[SEEN].max() <= 1):
        sentence = f"“take/wrinkles” is deeper than {DEEPEST:g} m, or seen by less than 0 or more than 1."
        raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)
