"""The cuts of footage, found as it streams: the first frame of every shot.

A cut is a picture that the one before it does not explain (``change``) while pictures about it explain each other:
shakes, whip pans and low frame rates change every picture, and a whip pan's pictures are smeared besides. What comes
back is none: a flash, a dropped picture, a hand before the lens. Pictures that show nothing and held ones are passed
over. A cut whose first picture is blended from both shots, as converted frame rates make them, is one cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import pairwise

from backend.alignment.picture_change import Glance, change, difference, glance, mixture
from backend.footage import FootageFrame


class Follows(Enum):
    """How a picture follows those before it: in their shot, behind a cut, or as an interruption of their shot."""

    SAME_SHOT = "same shot"
    CUT = "cut"
    INTERRUPTION = "interruption"


CONTEXT_FRAMES = 48
"""Frames before a frame that decide how it follows; more only where pictures are held for long."""

_CUT = 0.26  # change from which it may be a cut
_STANDS_OUT = 2.5  # a cut's change over that of the pairs about it
_EXPLAINED = 0.15  # change below which pictures on both sides of a possible cut show one shot
_ALONE = 0.5  # change from which a picture at the end of footage, which nothing follows, is another shot
_SMEARED = 0.5  # detail along x or y, over the shot's, below which a picture is blurred by motion
_HELD = 0.7  # difference (grey levels of 255) below which a picture is the one before again
_LOOK = 6.0  # difference below which change need not be measured
_BEFORE = 4  # pictures kept of the shot; pairs that are compared with, on either side
_AHEAD = 8  # frames behind a possible cut that are looked at, and held for that


def follow_shots(frames: Iterable[FootageFrame]) -> Iterator[tuple[FootageFrame, Follows]]:
    """Every frame, in order, and how it follows.

    Frames come out at once, except that ``_AHEAD`` are held while one that may begin a shot is judged.
    """
    judge = _Judge()
    waiting: deque[tuple[FootageFrame, Glance]] = deque()
    for frame in frames:
        waiting.append((frame, glance(frame.image)))
        yield from _judged(judge, waiting, ended=False)
    yield from _judged(judge, waiting, ended=True)


def _judged(
    judge: _Judge, waiting: deque[tuple[FootageFrame, Glance]], *, ended: bool
) -> Iterator[tuple[FootageFrame, Follows]]:
    """Take the frames that can be judged from the front of ``waiting``."""
    while waiting:
        follows = judge.judge([seen for _, seen in waiting], ended=ended)
        if follows is None:
            return
        yield waiting.popleft()[0], follows


class _Judge:
    """What was seen of the shot so far."""

    def __init__(self) -> None:
        self._seen: deque[Glance] = deque(maxlen=_BEFORE)  # the shot's latest pictures that differ
        self._changes: deque[float] = deque(maxlen=_BEFORE)  # between successive ones of them

    def judge(self, pictures: list[Glance], *, ended: bool) -> Follows | None:
        """How the first of ``pictures`` follows; None where that takes more of them and not ``ended``."""
        picture = pictures[0]
        if picture.blank or (self._seen and difference(self._seen[-1], picture) < _HELD):
            return Follows.SAME_SHOT
        if not self._seen:
            self._seen.append(picture)
            return Follows.SAME_SHOT
        changed = _change(self._seen[-1], picture)
        if math.isnan(changed):
            return Follows.SAME_SHOT
        if changed < _CUT:
            return self._go_on(picture, changed)
        if len(pictures) <= _AHEAD and not ended:
            return None
        return self._decide(picture, changed, pictures[1 : _AHEAD + 1])

    def _decide(self, picture: Glance, changed: float, later: list[Glance]) -> Follows:
        ahead = _distinct(picture, later)
        if any(_change(before, after) < _EXPLAINED for before in self._seen for after in ahead):
            return Follows.INTERRUPTION
        share = mixture(self._seen[-1], ahead[0], picture) if ahead else None
        if share is not None and share < 0.5:
            return Follows.INTERRUPTION  # the next picture is the cut
        behind = ahead if share is not None else [picture, *ahead]
        about = [*self._changes, *(_change(a, b) for a, b in pairwise(behind[: _BEFORE + 1]))]
        stands_out = changed >= _STANDS_OUT * max((other for other in about if not math.isnan(other)), default=0.0)
        if not stands_out or self._smeared(picture, ahead) or (not later and changed < _ALONE):
            return self._go_on(picture, changed)
        self._seen.clear()
        self._changes.clear()
        if share is None:
            self._seen.append(picture)
        return Follows.CUT

    def _smeared(self, picture: Glance, ahead: list[Glance]) -> bool:
        """True where ``picture`` or the one before it is blurred, and there are sharp ones on that side of it."""
        return _blurred(picture, ahead) or _blurred(self._seen[-1], self._seen)

    def _go_on(self, picture: Glance, changed: float) -> Follows:
        self._seen.append(picture)
        self._changes.append(changed)
        return Follows.SAME_SHOT


def _blurred(picture: Glance, others: Iterable[Glance]) -> bool:
    return any(picture.detail[axis] < _SMEARED * other.detail[axis] for other in others for axis in (0, 1))


def _distinct(picture: Glance, pictures: list[Glance]) -> list[Glance]:
    """Those that show something and are not the one before again."""
    kept = [picture]
    for other in pictures:
        if not other.blank and difference(kept[-1], other) >= _HELD:
            kept.append(other)
    return kept[1:]


def _change(a: Glance, b: Glance) -> float:
    return 0.0 if difference(a, b) < _LOOK else change(a, b)
