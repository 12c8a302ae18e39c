"""Which of the first view's pictures a take shows on a frame of the scene, by the footage's own numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import footage, retimed_footage, span
from . import ownership as replace
from .timing import Timing, timing_of

SAME_FRAME = 1e-4


@dataclass(frozen=True, eq=False)
class FootageFrames:
    """``numbers (n,)`` of the footage's frames, of which the first is shown from ``first`` on, each for one frame, as
    the footage counts (see ``timing``)."""

    first: float
    numbers: NDArray[np.int64]
    timing: Timing

    def number_at(self, frame: float) -> int | None:
        """The number of the footage's frame that is shown on a frame of the scene; None outside the take."""
        place = math.floor(float(self.timing.home(frame)) - self.first + SAME_FRAME)
        return int(self.numbers[place]) if 0 <= place < len(self.numbers) else None

    def frame_of(self, number: int) -> int | None:
        """The first whole frame of the scene that shows a frame of the footage, or the next one that is shown."""
        later = np.flatnonzero(self.numbers >= number)
        if not len(later) or number < self.numbers.min():
            return None
        return math.ceil(float(self.timing.at(self.first + int(later[0]))) - SAME_FRAME)


def footage_frames(collection: Any) -> FootageFrames | None:
    """Those of a built take, within its span; None where nothing of its animation is left."""
    there = span.span_of(collection)
    if there is None:
        return None
    timing = timing_of(collection)
    first, last = math.floor(there[0] + SAME_FRAME), math.ceil(there[1] - SAME_FRAME)
    wanted = np.arange(first, last + 1)
    views = replace.shown_views(collection)
    camera = views[0].camera if views else None
    known = retimed_footage.pictures_of(camera.data, timing) if camera is not None else None
    if known is None or camera is None:  # nothing to be seen, or a still: the scene counts as the footage does
        return FootageFrames(first, wanted.astype(np.int64), timing)
    start, numbers = known
    background, place = camera.data.background_images[0], wanted - math.floor(start + SAME_FRAME)
    kept = _proxy_numbers(background)
    if kept is not None:
        numbers = kept.astype(np.float64)[np.clip(numbers.astype(int) - 1, 0, len(kept) - 1)]
    elif background.source == "MOVIE_CLIP":  # which goes on for as long as its file, wherever that is now
        return FootageFrames(first, np.asarray(numbers[0] + place, np.int64), timing)
    return FootageFrames(first, np.asarray(numbers[np.clip(place, 0, len(numbers) - 1)], np.int64), timing)


def _proxy_numbers(background: Any) -> NDArray[np.int64] | None:
    """The footage's own numbers of a proxy's pictures; None where the footage itself is shown."""
    shown = background.clip if background.source == "MOVIE_CLIP" else background.image
    kept = shown.get(footage.NUMBERS) if shown is not None else None
    return np.array(kept.to_list(), np.int64) if kept is not None else None
