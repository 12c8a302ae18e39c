"""The shots of a view for the report, and what a user should read about cuts and about a face that is upside down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.observations import BOX_FIELDS, Shot, ViewAlignment

MOST_NAMED = 6  # cuts and ranges in a sentence
UPSIDE_DOWN = float(np.cos(np.deg2rad(135)))


def shots_report(alignment: ViewAlignment) -> list[dict[str, Any]]:
    """The shots in order, as plain values: first and last frame, and whether it is the one that was tracked."""
    tracked = alignment.tracked_shot
    return [
        {"first_frame": shot.first_frame, "last_frame": shot.last_frame, "tracked": shot == tracked}
        for shot in alignment.shots
    ]


def shot_warnings(alignment: ViewAlignment, footage: str, place: str) -> list[str]:
    """Sentences about the cuts of a view's footage and about a face that is upside down; none for most footage.

    The footage is called ``footage`` where a sentence begins, and ``place`` within one.
    """
    warnings = []
    tracked = alignment.tracked_shot
    if len(alignment.shots) > 1 and tracked is not None:
        warnings.append(f"{footage} cuts at {_cuts(alignment.shots)}: {_tracked(alignment.shots, tracked)}")
    if upside_down(alignment):
        warnings.append(f"The face is upside down in {place}; it is tracked turned by 180°.")
    return warnings


def upside_down(alignment: ViewAlignment) -> bool:
    """True where the face stands on its head in most frames that show it."""
    roll = alignment.boxes[alignment.found, BOX_FIELDS.index("roll")]
    return bool(len(roll) and np.median(np.cos(roll)) < UPSIDE_DOWN)


def _cuts(shots: Sequence[Shot]) -> str:
    frames = [str(shot.first_frame) for shot in shots[1:]]
    return f"frame{'s' * (len(frames) > 1)} {_listed(frames)}"


def _tracked(shots: Sequence[Shot], tracked: Shot) -> str:
    others = [shot for shot in shots if shot != tracked]
    ranges, first = _listed([_range(shot) for shot in others]), others[0]
    return (
        f"tracked {_range(tracked)}; {ranges} {'are other shots' if len(others) > 1 else 'is another shot'}: choose "
        f"frames {first.first_frame}:{first.last_frame} to track {'the first of them' if len(others) > 1 else 'it'}."
    )


def _range(shot: Shot) -> str:
    if shot.first_frame == shot.last_frame:
        return str(shot.first_frame)
    return f"{shot.first_frame}–{shot.last_frame}"


def _listed(words: Sequence[str]) -> str:
    """“a”, “a and b”, “a, b and c”; the first ones and a count where there are many."""
    if len(words) > MOST_NAMED:
        words = [*words[: MOST_NAMED - 1], f"{len(words) - MOST_NAMED + 1} more"]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
