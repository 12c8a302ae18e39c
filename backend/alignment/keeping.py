"""Keeping what is known of faces that are followed, so that following goes on where it was broken off.

What is kept is all that later frames are looked at by: the faces' places and paths, and the pictures that tell a cut.
A run that goes on from it says of every later frame what an undisturbed run would, to the bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.alignment.cuts import ShotJudge
from backend.observations import BOX_FIELDS, AlignedFrame, FaceBox
from backend.observations.chunks import CHUNK_FRAMES, CHUNK_SECONDS, AlignmentChunks
from backend.observations.io import Arrays


@dataclass(frozen=True, eq=False)
class Known:
    """Successive frames as each face shows them that is followed, or as nobody does, and the state behind the last."""

    faces: Sequence[Sequence[AlignedFrame]]
    state: Arrays


class Following(Protocol):
    """Whoever follows faces, and says what is to be kept."""

    def known(self, since: int) -> Known:
        """The frames taken behind the first ``since``, and the state behind the last."""
        ...


class Keeper:
    """Writes chunks of what is known, every so many frames and seconds."""

    def __init__(self, chunks: AlignmentChunks, *, frames: int = CHUNK_FRAMES, seconds: float = CHUNK_SECONDS) -> None:
        """Takes up the chunks that an earlier run left: ``found``, in order."""
        self._chunks, self._frames, self._seconds = chunks, frames, seconds
        self.found = chunks.take_up()
        self._kept = sum(chunk.frame_count for chunk in self.found)
        self._taken = self._kept
        self._when = time.monotonic()

    @property
    def last_number(self) -> int | None:
        """The footage's number of the last frame that is kept."""
        return int(self.found[-1].faces[0].numbers[-1]) if self.found else None

    @property
    def judge(self) -> ShotJudge:
        """The judge of shots behind the last frame that is kept."""
        return ShotJudge.resumed(self.found[-1].state) if self.found else ShotJudge()

    def taken(self, following: Following, judge: ShotJudge) -> None:
        """One more frame was taken. Raises OSError where a chunk cannot be written."""
        self._taken += 1
        if self._taken - self._kept >= self._frames or time.monotonic() - self._when >= self._seconds:
            self.keep(following, judge)

    def keep(self, following: Following, judge: ShotJudge) -> None:
        """Write what is not yet kept. Raises OSError."""
        if self._taken > self._kept:
            known = following.known(self._kept)
            self._chunks.write(known.faces, {**known.state, **judge.state()})
            self._kept = self._taken
        self._when = time.monotonic()


def boxes_as_array(boxes: Sequence[FaceBox]) -> NDArray[np.float64]:
    """(n,6) ``BOX_FIELDS``."""
    return np.array([[getattr(box, name) for name in BOX_FIELDS] for box in boxes]).reshape(-1, len(BOX_FIELDS))


def box_of_array(values: NDArray[np.float64]) -> FaceBox:
    """The box of a row of ``boxes_as_array``."""
    return FaceBox(*map(float, values))
