"""Makes a person's blink end where the lids meet, column by column of the eye: the head's own closes the mean eye."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.head_model.eyeball import REACH, Eyeball, eyeball_of
from backend.head_model.model import HeadModel
from backend.head_model.rims import places, walk_rim

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]
State = Mapping[str, float]

LOOKS = {"Down": 1.0, "In": 0.5, "Out": 0.5, "Up": 0.5}
"""How far an eye looks behind lids that meet: a full look outwards or upwards opens those of the mean head, too."""
CLOSED_STATES: tuple[tuple[State, float], ...] = (
    ({"eyeBlink": 1.0}, 0.0003),
    *(({"eyeBlink": 1.0, f"eyeLook{way}": strength}, 0.0) for way, strength in LOOKS.items()),
)
"""Strengths by action, of one eye, and metres that the lids then go past each other at least: the mean head's do in all
of them, so that it stays as it is."""

OVERLAP = 1.25
"""The builder's, here of what is left open. Of 72 random people's eyes none is then open by more than 0.1 mm; with 1
up to 0.2 mm stays open at an outer corner, where the lid's edge is inside the eyeball at rest."""
RINGS = (1, 2, 3)
"""Rings about the eye on which a lid can end: from the one that touches the eye at rest outwards."""
COLUMNS = np.linspace(0, 1, 41)
SPREAD = 4  # columns to either side along which a change of strength is spread, so that it does not crease the lid
FULL = 0.003  # metres from the eyeball up to which a blink is lengthened in full; from ``REACH`` on it stays as it was
LEAST_CLOSING = 0.002  # metres that a blink is taken to close at least: at the corners of the eye it does not
MOST = 2.0
"""The strength at which lengthening ends: an action that asks for more is no blink."""


@dataclass(frozen=True, eq=False)
class LidRims:
    """Vertices (n,) of the upper and of the lower lid on rings about an eye, from its −x corner to its +x one."""

    upper: tuple[Ints, ...]
    lower: tuple[Ints, ...]


def closing_blink(rims: LidRims, neutral: F64, moves: Mapping[str, F64], eyeball: Eyeball) -> F64:
    """The blink (V,3) of one eye lengthened so that the lids meet on the neutral (V,3); as it was where they do.

    ``moves`` are the eye's actions (V,3). Both lids go on along the blink's own way, so that half of it closes half of
    what the whole does.
    """
    columns, strength = _closing_strength(rims, neutral, moves, eyeball)
    fade = np.clip((REACH - eyeball.height(neutral)) / (REACH - FULL), 0, 1)
    along, _ = _around(neutral, eyeball)
    return moves["eyeBlink"] * (1 + fade * (np.interp(along, columns, strength) - 1))[:, None]


def lid_rims(head: HeadModel, part: str) -> LidRims | None:
    """The rims of the lids before the eyeball ``part``; None where the head has no rings around it."""
    eyeball, sockets = eyeball_of(head, head.template, part), head.regions.get("eye_sockets")
    if eyeball is None or sockets is None:
        return None
    near = eyeball.height(head.template) < eyeball.radius
    try:
        around = head.triangles[near[head.triangles].all(axis=1)]
        rim = walk_rim(around, head.regions["skin"] & ~sockets, sockets & near, RINGS[-1] + 1)
    except ValueError:
        return None
    if len(rim.outward) <= RINGS[-1]:
        return None
    upper, lower = [], []
    for ring in (rim.at(number) for number in RINGS):
        along = places(head.template[ring].astype(np.float64))
        order = np.argsort(along)
        above = along[order] <= 1
        upper.append(ring[order][above])
        lower.append(np.concatenate([upper[-1][-1:], ring[order][~above], upper[-1][:1]])[::-1])
    return LidRims(tuple(upper), tuple(lower))


def _closing_strength(rims: LidRims, neutral: F64, moves: Mapping[str, F64], eyeball: Eyeball) -> tuple[F64, F64]:
    """Azimuths (n,) about the eyeball, radians, and the strength (n,) of a blink there that makes the lids meet."""
    corners, _ = _around(neutral[rims.upper[0][[0, -1]]], eyeball)
    columns = corners[0] + (corners[1] - corners[0]) * COLUMNS
    opened = _gap(rims, neutral, eyeball, columns)
    closed = opened - _gap(rims, neutral + moves["eyeBlink"], eyeball, columns)
    left = np.zeros(len(columns))
    for state, overlap in CLOSED_STATES:
        if all(name in moves for name in state):
            moved = neutral + sum(weight * moves[name] for name, weight in state.items())
            left = np.maximum(left, _gap(rims, moved, eyeball, columns) + overlap)
    wanted = np.minimum(1 + OVERLAP * left / np.maximum(closed, LEAST_CLOSING), MOST)
    wanted[[0, -1]] = 1  # where the lids begin
    return columns, _spread(wanted)


def _gap(rims: LidRims, moved: F64, eyeball: Eyeball, columns: F64) -> F64:
    """How far the upper lid ends above the lower one (n,) in columns, metres along the eyeball; below 0 past it."""
    ends = []
    for rings, sign in ((rims.upper, 1), (rims.lower, -1)):
        ups = []
        for ring in rings:
            along, up = _around(moved[ring], eyeball)
            order = np.argsort(along)
            ups.append(np.interp(columns, along[order], sign * up[order]))
        ends.append(np.min(ups, axis=0))
    return np.asarray(ends[0] + ends[1]) * eyeball.radius


def _around(points: F64, eyeball: Eyeball) -> tuple[F64, F64]:
    """Azimuth towards +x and elevation (n,) of points (n,3) seen from the eyeball's centre, radians."""
    x, y, z = (points - eyeball.centre).T
    return np.arctan2(x, z), np.arctan2(y, np.hypot(x, z))


def _spread(wanted: F64) -> F64:
    """An even curve (n,) on which no column gets less than it wants (n,)."""
    window = 2 * SPREAD + 1
    most = np.lib.stride_tricks.sliding_window_view(np.pad(wanted, 2 * SPREAD, mode="edge"), window).max(axis=1)
    kernel = np.hanning(window + 2)[1:-1]
    return np.convolve(most, kernel / kernel.sum(), mode="valid")
