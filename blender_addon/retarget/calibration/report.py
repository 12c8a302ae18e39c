"""What a calibration did, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .compared import Score
from .measures import SHORT, Face
from .solve import Calibration


def standing(scores: Sequence[Score]) -> str:
    """One sentence on how a character follows."""
    moving = [score for score in scores if score.moves or score.contact is not None]
    behind = [score for score in moving if not score.good]
    if not moving:
        return "The actor's face hardly moves: there is nothing to measure."
    if not behind:
        return f"The character follows in all {len(moving)} measures."
    return f"The character follows in {len(moving) - len(behind)} of {len(moving)} measures; not in {_list(behind)}."


def lines(found: Calibration, frames: NDArray[np.float64], face: Face) -> list[str]:
    """A few sentences on a calibration; ``frames (T,)`` are the take's, ``face`` the character's."""
    first, last = frames[found.frames[0]], frames[found.frames[-1]]
    before = sum(score.good for score in found.before)
    after = sum(score.good for score in found.after)
    if found.kept:
        said = ["No gains fit better than those that there were: the face may move too little in this take"]
    else:
        said = [
            f"Solved from {len(found.frames)} frames between {first:g} and {last:g}: {after} of {len(found.after)} "
            f"measures follow now, {before} did before"
        ]
    behind = [score for score in found.after if not score.good]
    if behind:
        said.append(f"The character does not follow in {_list(behind)}")
    if found.at_end:
        said.append(
            f"These shape keys are at the end of their sliders or of what a gain may be: {', '.join(found.at_end)}"
        )
    for lid, short in face.short.items():
        if short > SHORT:
            side = lid.rpartition(" ")[2]
            said.append(f"Its {side} eyeBlink at 1 leaves {100 * short:.0f} % of the eye open: raise its Max")
    if found.helpers:
        shares = ", ".join(f"{link.action} drives {link.key} by {link.response.gain:.2f}" for link in found.helpers)
        said.append(f"Links were added: {shares}")
    return said


def words(score: Score) -> str:
    """How far a measure of the character goes beside the actor's."""
    if not score.moves:
        return "hardly moves"
    contact = "" if score.contact is None else f", closes together {100 * score.contact:.0f} %"
    return f"{100 * score.slope:.0f} % as far, alike {score.correlation:.2f}{contact}"


def _list(scores: Sequence[Score]) -> str:
    return ", ".join(f"{score.name} ({words(score)})" for score in scores)
