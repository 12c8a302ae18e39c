"""Frames that a user marks as neutral: found in the take, or refused in words; and what the report says of them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ErrorCode, UserError
from protocol.messages import TrackJob

if TYPE_CHECKING:
    from backend.fitting.neutral import AtRest
    from backend.footage import FootageInfo
    from backend.observations import ViewAlignment


def require_marks_within(spec: TrackJob, info: FootageInfo) -> None:
    """Raise UserError ``neutral_outside`` where no marked frame is one of the first view's that are tracked.

    ``info`` is of that view's footage as it was opened.
    """
    if spec.neutral_frames is None:
        return
    first, last = spec.neutral_frames
    begin, end = spec.frames or (info.first_frame, info.last_frame)
    begin, end = max(begin, info.first_frame), min(end, info.last_frame)
    if last < begin or first > end:
        raise UserError(
            ErrorCode.NEUTRAL_OUTSIDE,
            f"The neutral {_words(first, last)} outside the frames that are tracked, {begin} to {end}.",
            "Mark a frame among those; a video's frames count from 1, an image sequence's as in its file names.",
        )


def marked_numbers(spec: TrackJob, first_view: ViewAlignment) -> tuple[int, ...]:
    """The marked frames in which the first view shows the face, by number; () where none are marked.

    Raises UserError ``no_face`` where no marked frame shows it.
    """
    if spec.neutral_frames is None:
        return ()
    first, last = spec.neutral_frames
    numbers = first_view.numbers[first_view.tells_pose]
    marked = tuple(numbers[(numbers >= first) & (numbers <= last)].tolist())
    if not marked:
        raise UserError(
            ErrorCode.NO_FACE,
            f"The face is not seen where it was marked as neutral: the {_words(first, last)} without one.",
            "Mark a frame in which the face is seen, calm and from the front.",
        )
    return marked


def at_rest_report(at_rest: AtRest | None) -> dict[str, Any]:
    """What report.json says of the neutral: ``frames``, pairs of first and last, and whether they were ``marked``."""
    if at_rest is None:
        return {"frames": [], "marked": False}
    numbers = np.array(sorted(at_rest.numbers))
    runs = [[*run] for _, run in groupby(enumerate(numbers.tolist()), lambda one: one[1] - one[0])]
    return {"frames": [[run[0][1], run[-1][1]] for run in runs], "marked": at_rest.marked}


def _words(first: int, last: int) -> str:
    return f"frame {first} is" if first == last else f"frames {first} to {last} are"
