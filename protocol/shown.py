"""Which picture of a piece of footage is shown on each frame of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class HeldPictures:
    """The number of the footage's picture that is shown on each scene frame from ``first`` on: ``numbers (F,)``."""

    first: int
    numbers: NDArray[np.int64]


def span(scene_frames: NDArray[np.float64], numbers: NDArray[np.int64]) -> tuple[int, int]:
    """The first and the last whole scene frame of the pictures ``numbers (T,)``, -1 for none, at ``scene_frames``."""
    seen = scene_frames[numbers >= 0]
    return int(np.floor(seen[0])), int(np.ceil(seen[-1]))


def hold(scene_frames: NDArray[np.float64], numbers: NDArray[np.int64]) -> HeldPictures:
    """The pictures ``numbers (T,)`` of ``scene_frames (T,)``, ascending, each held until the next one comes.

    A scene frame before the first picture, where that comes between two of them, shows the first.
    """
    first, last = span(scene_frames, numbers)
    seen = numbers >= 0
    shown = np.searchsorted(scene_frames[seen], np.arange(first, last + 1), side="right") - 1
    return HeldPictures(first, numbers[seen][np.maximum(shown, 0)])
