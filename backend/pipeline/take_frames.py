"""Frames of a track by their numbers, which are the first view's footage's, or refused in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.track.types import Track


def frame_index(track: Track, number: int, where: str) -> int:
    """The index of the frame with a number; ``where`` names the take. Raises UserError ``frames_out_of_range``."""
    index = int(np.searchsorted(track.frames, number))
    if index == len(track.frames) or int(track.frames[index]) != number:
        raise _outside(track, f"There is no frame {number} in {where}")
    return index


def frames_within(track: Track, span: tuple[int, int], where: str) -> NDArray[np.int64]:
    """Indices of the frames from the first number to the last; raises as ``frame_index`` where there is none."""
    index = np.flatnonzero((track.frames >= span[0]) & (track.frames <= span[1]))
    if not len(index):
        raise _outside(track, f"There is no frame from {span[0]} to {span[1]} in {where}")
    return index


def _outside(track: Track, sentence: str) -> UserError:
    first, last = int(track.frames[0]), int(track.frames[-1])
    return UserError(ErrorCode.FRAMES_OUT_OF_RANGE, f"{sentence}.", f"It has the frames {first} to {last}.")
