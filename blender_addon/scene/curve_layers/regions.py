"""Which part of the face an action moves, and which action is its counterpart on the other side. Names only."""

from __future__ import annotations

from dataclasses import dataclass

BROWS, LIDS, GAZE, MOUTH, JAW, CHEEKS, POSE, OTHER = "brows", "lids", "gaze", "mouth", "jaw", "cheeks", "pose", "other"
REGIONS = (
    (BROWS, "Brows"),
    (LIDS, "Lids"),
    (GAZE, "Gaze"),
    (MOUTH, "Mouth"),
    (JAW, "Jaw"),
    (CHEEKS, "Cheeks and Nose"),
    (POSE, "Head Pose"),
    (OTHER, "Others"),
)
"""Each region and its title; the subject's head as a whole last but for actions whose names say nothing."""
_STARTS = (
    ("brow", BROWS),
    ("eyelook", GAZE),
    ("eye", LIDS),
    ("mouth", MOUTH),
    ("tongue", MOUTH),
    ("smile", MOUTH),
    ("jaw", JAW),
    ("cheek", CHEEKS),
    ("nose", CHEEKS),
)
_SIDES = (("Left", "Right"), ("_L", "_R"), (".L", ".R"), ("_left", "_right"))
_SIDEWAYS = ("jaw", "mouth")
"""ARKit's jawLeft and jawRight, mouthLeft and mouthRight move one part to one side or the other."""


@dataclass(frozen=True)
class Pair:
    """Two actions that mirror each other; ``sideways`` where they move the same part, to one side or the other."""

    left: str
    right: str
    sideways: bool


def region_of(action: str) -> str:
    """The region of an action by its name, ARKit's or another one that begins alike."""
    name = action.lower()
    return next((region for start, region in _STARTS if name.startswith(start)), OTHER)


def pairs_of(actions: tuple[str, ...]) -> tuple[Pair, ...]:
    """The pairs among actions. Those of the gaze are none: eyes that look to one side do not mirror each other."""
    found = []
    for name in actions:
        for left, right in _SIDES:
            stem = name.removesuffix(left)
            if stem != name and f"{stem}{right}" in actions and region_of(name) != GAZE:
                found.append(Pair(name, f"{stem}{right}", stem in _SIDEWAYS))
    return tuple(found)
