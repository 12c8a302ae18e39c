"""The cuts of footage, found as it streams: the first frame of every shot.

A cut is a picture that the one before it does not explain (``change``) while pictures about it explain each other:
shakes, whip pans and low frame rates change every picture, and a whip pan's pictures are smeared besides. What comes
back is none: a flash, a dropped picture, a hand before the lens. Pictures that show nothing and held ones are passed
over. A cut whose first picture is blended from both shots, as converted frame rates make them, is one cut.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.picture_change import SIDE, Glance, change, difference, glance, glance_of, mixture
from backend.footage import FootageFrame


class Follows(Enum):
    """How a picture follows those before it: in their shot, behind a cut, or as an interruption of their shot."""

    SAME_SHOT = "same shot"
    CUT = "cut"
    INTERRUPTION = "interruption"


_CUT = (
    (0.26, 2.5),
    (0.16, 6.0),
)  # change from which it may be a cut where it is so many times those of the pairs about
_EXPLAINED = 0.15  # change below which pictures on both sides of a possible cut show one shot
_ALONE = 0.7  # change from which a picture at the end of footage, which nothing follows, is another shot
_SMEARED = 0.5  # detail along x or y, over the shot's, below which a picture is blurred by motion
_HELD = 0.7  # difference (grey levels of 255) below which a picture is the one before again
_LOOK = 6.0  # difference below which change need not be measured …
_JUMP = 1.5  # … nor where it is less than so many times the differences just before
_ABOUT = 4  # pairs that are compared with, on either side
_AHEAD = 8  # frames behind a possible cut that are looked at, and held for that


def follow_shots(
    frames: Iterable[FootageFrame], judge: ShotJudge | None = None
) -> Iterator[tuple[FootageFrame, Follows]]:
    """Every frame, in order, and how it follows.

    Frames come out at once, except that ``_AHEAD`` are held while one that may begin a shot is judged. A ``judge`` who
    has seen the frames before goes on with these; whenever a frame has come out, it has seen that one and none after.
    """
    judge = judge or ShotJudge()
    waiting: deque[tuple[FootageFrame, Glance]] = deque()
    for frame in frames:
        waiting.append((frame, glance(frame.image)))
        yield from _judged(judge, waiting, ended=False)
    yield from _judged(judge, waiting, ended=True)


def _judged(
    judge: ShotJudge, waiting: deque[tuple[FootageFrame, Glance]], *, ended: bool
) -> Iterator[tuple[FootageFrame, Follows]]:
    """Take the frames that can be judged from the front of ``waiting``."""
    while waiting:
        follows = judge.judge([seen for _, seen in waiting], ended=ended)
        if follows is None:
            return
        yield waiting.popleft()[0], follows


class ShotJudge:
    """What was seen of the shot so far."""

    def __init__(self) -> None:
        self._seen: deque[Glance] = deque(maxlen=_ABOUT + 1)  # the shot's latest pictures that differ
        self._differences: deque[float] = deque(maxlen=_ABOUT)  # between successive ones of them
        self._measured: tuple[Glance, float] | None = None  # a picture that waits to be judged, and its change

    def state(self) -> dict[str, NDArray[Any]]:
        """What was seen, as arrays from which ``resumed`` makes a judge who answers the same."""
        seen = np.zeros((len(self._seen), SIDE, SIDE, 3), np.uint8)
        for place, picture in enumerate(self._seen):
            seen[place] = picture.colour
        return {"shot_pictures": seen, "shot_differences": np.array(self._differences, np.float64)}

    @classmethod
    def resumed(cls, state: Mapping[str, NDArray[Any]]) -> ShotJudge:
        """The judge whose ``state()`` this is."""
        judge = cls()
        judge._seen.extend(glance_of(np.ascontiguousarray(colour)) for colour in state["shot_pictures"])
        judge._differences.extend(float(apart) for apart in state["shot_differences"])
        return judge

    def judge(self, pictures: list[Glance], *, ended: bool) -> Follows | None:
        """How the first of ``pictures`` follows; None where that takes more of them and not ``ended``."""
        picture = pictures[0]
        if picture.blank:
            return Follows.SAME_SHOT
        apart = difference(self._seen[-1], picture) if self._seen else math.inf
        if apart < _HELD:
            return Follows.SAME_SHOT
        if not self._seen or apart < max(_LOOK, _JUMP * max(self._differences, default=0.0)):
            return self._go_on(picture, apart)
        changed = self._changed(picture)
        if math.isnan(changed):
            return Follows.SAME_SHOT
        if changed < min(least for least, _ in _CUT):
            return self._go_on(picture, apart)
        if len(pictures) <= _AHEAD and not ended:
            return None
        return self._decide(picture, changed, apart, pictures[1 : _AHEAD + 1])

    def _changed(self, picture: Glance) -> float:
        if self._measured is None or self._measured[0] is not picture:
            self._measured = picture, change(self._seen[-1], picture)
        return self._measured[1]

    def _decide(self, picture: Glance, changed: float, apart: float, later: list[Glance]) -> Follows:
        ahead = _distinct(picture, later)
        share = mixture(self._seen[-1], ahead[0], picture) if ahead else None
        stands_out = self._stands_out(changed, ahead if share is not None else [picture, *ahead])
        if not stands_out and changed < _CUT[0][0]:
            return self._go_on(picture, apart)
        latest, earlier = self._seen[-1], self._seen[0]
        if any(_change(before, after) < _EXPLAINED for after in ahead for before in (latest, earlier)):
            return Follows.INTERRUPTION
        if share is not None and share < 0.5:
            return Follows.INTERRUPTION  # the next picture is the cut
        if not stands_out or self._smeared(picture, ahead) or (not later and changed < _ALONE):
            return self._go_on(picture, apart)
        self._seen.clear()
        self._differences.clear()
        if share is None:
            self._seen.append(picture)
        return Follows.CUT

    def _stands_out(self, changed: float, behind: list[Glance]) -> bool:
        """True where a change is large beside those between pictures before it and ``behind`` it."""
        pairs = [*pairwise(self._seen), *pairwise(behind[: _ABOUT + 1])]
        most = max((about for a, b in pairs if not math.isnan(about := _change(a, b))), default=0.0)
        return any(changed >= max(least, times * most) for least, times in _CUT)

    def _smeared(self, picture: Glance, ahead: list[Glance]) -> bool:
        """True where ``picture`` or the one before it is blurred, and there are sharp ones on that side of it."""
        return _blurred(picture, ahead) or _blurred(self._seen[-1], self._seen)

    def _go_on(self, picture: Glance, apart: float) -> Follows:
        if self._seen:
            self._differences.append(apart)
        self._seen.append(picture)
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
