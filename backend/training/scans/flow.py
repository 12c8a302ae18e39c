"""Points carried from picture to picture by optical flow, without drifting: always from the nearest keyframe.

The first picture, on which the points are known, is the first keyframe. Each picture is compared with it and with the
latest keyframe directly, never with its neighbour alone: the flow to the picture before is only where the search for
the next one begins. A point takes the keyframe from which going there and coming back misses it least.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Flow = NDArray[np.float32]

GOOD = 1.0
"""Pixels of the way there and back up to which a point counts as followed."""
UNLIKE, PATCH = 30.0, 11
"""Mean difference of grey values, of 255, and pixels of the square it is taken over, from which on something else is
seen there: where nothing can be followed, the flow stays as it was guessed, and that agrees with itself."""
RENEWED = 0.8
"""Share of followed points below which a picture becomes a keyframe of its own."""
APART = 4
"""Pictures at least from one keyframe to the next: each adds its own error to all that come after."""


class FlowMethod(Protocol):
    """Optical flow between two pictures."""

    def __call__(self, one: NDArray[np.uint8], other: NDArray[np.uint8], start: Flow | None) -> Flow:
        """Displacements (h,w,2), pixels, of the pixels of ``one (h,w,3)`` to ``other``; ``start`` is a guess."""
        ...


class DisFlow:
    """OpenCV's dense inverse search (Kroeger et al. 2016), where the paper has RAFT: it needs no weights."""

    def __init__(self) -> None:
        self._method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        self._method.setFinestScale(0)  # whole pixels: at half of them the error is two to three times as large

    def __call__(self, one: NDArray[np.uint8], other: NDArray[np.uint8], start: Flow | None) -> Flow:
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (one, other)]
        guess: Any = None if start is None else start.copy()
        return np.asarray(self._method.calc(grey[0], grey[1], guess), np.float32)


@dataclass(frozen=True, eq=False)
class Carried:
    """Points in one picture: ``position (N,2)`` pixels, ``error (N,)`` how far the way back misses, added up."""

    position: F64
    error: F64

    @property
    def followed(self) -> NDArray[np.bool_]:
        """(N,) those whose place is to be trusted."""
        return self.error <= GOOD


@dataclass(eq=False)
class _Key:
    picture: NDArray[np.uint8]
    points: Carried
    number: int
    there: Flow | None = None  # to the picture before, where the search begins
    back: Flow | None = None

    def carry(self, picture: NDArray[np.uint8], flow: FlowMethod) -> Carried:
        self.there = flow(self.picture, picture, self.there)
        self.back = flow(picture, self.picture, self.back)
        position = self.points.position + at(self.there, self.points.position)
        again = position + at(self.back, position)
        missed = np.linalg.norm(again - self.points.position, axis=1)
        height, width = picture.shape[:2]
        outside = ((position < 0) | (position > (width, height))).any(axis=1)
        other = _unlike(self.picture, picture, self.there, self.points.position) > UNLIKE
        missed[outside | other | ~np.isfinite(missed)] = np.inf
        return Carried(position, np.hypot(self.points.error, missed))


def carry(pictures: Iterable[NDArray[np.uint8]], points: F64, flow: FlowMethod) -> Iterator[Carried]:
    """``points (N,2)`` of the first of ``pictures`` (h,w,3) in each of them; rows that are not finite stay unknown."""
    keys: list[_Key] = []
    for number, picture in enumerate(pictures):
        if not keys:
            error = np.where(np.isfinite(points).all(axis=1), 0.0, np.inf)
            found = Carried(np.nan_to_num(points), error)
            keys = [_Key(picture, found, number)]
            yield found
            continue
        chosen = [key.carry(picture, flow) for key in keys]
        best = np.stack([one.error for one in chosen]).argmin(axis=0)
        row = np.arange(len(points))
        found = Carried(
            np.stack([one.position for one in chosen])[best, row], np.stack([one.error for one in chosen])[best, row]
        )
        yield found
        hopeful = np.isfinite(keys[0].points.error)
        if number - keys[-1].number >= APART and hopeful.any() and found.followed[hopeful].mean() < RENEWED:
            keys = [keys[0], _Key(picture, found, number)]


def _unlike(one: NDArray[np.uint8], other: NDArray[np.uint8], flow: Flow, points: F64) -> F64:
    """Mean difference (N,) of the grey values about points (N,2) of ``one`` from where ``flow`` finds them."""
    y, x = np.indices(flow.shape[:2], dtype=np.float32)
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) for picture in (one, other)]
    there = cv2.remap(grey[1], x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    apart = cv2.blur(np.abs(there - grey[0]), (PATCH, PATCH))
    return at(np.dstack([apart, apart]), points)[:, 0]


def at(flow: Flow, points: F64) -> F64:
    """The flow's vectors (N,2) at points (N,2), bilinearly; pixel (0.5, 0.5) is the first's centre."""
    x, y = (np.ascontiguousarray(points[:, k] - 0.5, np.float32)[None] for k in (0, 1))
    found = cv2.remap(flow, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found[0], np.float64)
