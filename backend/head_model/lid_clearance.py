"""Keeps the lids on the eye: none sinks into the eyeball of the mean head or a person, whose blinks also close it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.eyeball import REACH, Eyeball, eyeball_of
from backend.head_model.lid_closing import LidRims, State, closing_blink, lid_rims
from backend.head_model.model import HeadModel

F64 = NDArray[np.float64]

SKIN = 0.001
"""Metres of lid between the eyeball and the outside. What is nearer at rest, as the lid's edge is, stays as near."""
ROUNDS = 4
CLOSINGS = 2  # with 1, lids that personal actions let sink in stay open by up to 0.35 mm

STATES: tuple[State, ...] = (
    *(
        {name: weight}
        for name in ("eyeBlink", "eyeSquint", "eyeWide", "cheekSquint", "browDown")
        for weight in (1.0, 0.5)
    ),
    *({f"eyeLook{way}": weight} for way in ("Down", "Up", "In", "Out") for weight in (1.0, 0.5)),
    {"eyeBlink": 1.0, "eyeSquint": 1.0},
    {"eyeBlink": 1.0, "eyeSquint": 1.0, "cheekSquint": 1.0, "browDown": 1.0},
    {"eyeBlink": 0.5, "eyeLookDown": 0.5},
    {"eyeBlink": 0.3, "eyeLookDown": 1.0},
    {"eyeSquint": 1.0, "eyeLookDown": 1.0},
    {"eyeBlink": 0.5, "eyeWide": 1.0},
    {"eyeSquint": 1.0, "eyeLookOut": 1.0},
    {"eyeSquint": 1.0, "eyeLookIn": 1.0},
    {"eyeLookDown": 1.0, "eyeLookOut": 1.0},
    {"eyeLookDown": 1.0, "eyeLookIn": 1.0},
)
"""Strengths by action, of one eye: each alone, also half-way, as lids move on straight lines and eyes are round."""

PERSONAL_STATES: tuple[State, ...] = (
    *STATES,
    {"eyeBlink": 0.75},
    *({"eyeBlink": 0.75, f"eyeLook{way}": 0.5} for way in ("Down", "Up", "In", "Out")),
    *({"eyeBlink": 1.0, f"eyeLook{way}": 1.0} for way in ("Down", "Up", "In", "Out")),
    {"eyeBlink": 0.75, "eyeLookDown": 0.4, "eyeLookOut": 0.4},
    {"eyeBlink": 0.75, "eyeLookDown": 0.4, "eyeLookIn": 0.4},
)
"""Those of a person, whose own actions were not made for an eye: also the ways to a closed one."""


def lids_of(eyeball: Eyeball, skin: NDArray[np.bool_], neutral: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """The vertices of the ``skin (V,)`` of a neutral (V,3) that lie on an eyeball's front."""
    height = eyeball.height(neutral)
    return np.flatnonzero(skin & (height < REACH) & (neutral[:, 2] > eyeball.centre[2]))


def pushed_out(lids: F64, moves: F64, names: Sequence[str], eyeball: Eyeball, states: Sequence[State]) -> F64:
    """Actions' moves (A,L,3) of lids (L,3) with what sinks into the eyeball in a state pushed out along its radius.

    ``names`` are those in the states; states with others are left out. A push is shared among the actions of a state.
    """
    changed = moves.copy()
    least = np.minimum(eyeball.height(lids), SKIN)
    known = [state for state in states if all(name in names for name in state)]
    for _ in range(ROUNDS):
        for state in known:
            rows = {names.index(name): weight for name, weight in state.items()}
            moved = lids + sum(weight * changed[row] for row, weight in rows.items()) - eyeball.centre
            distance = np.linalg.norm(moved, axis=1)
            push = moved / distance[:, None] * np.maximum(eyeball.radius + least - distance, 0)[:, None]
            total = sum(weight**2 for weight in rows.values())
            for row, weight in rows.items():
                changed[row] += push * weight / total
    return changed


@lru_cache(maxsize=4)
def actions_on_lids() -> tuple[str, ...]:
    """The actions of one eye that move its lids, in a fixed order."""
    return tuple(sorted({name for state in PERSONAL_STATES for name in state}))


def with_clear_lids(head: HeadModel, neutral: NDArray[np.floating[Any]]) -> HeadModel:
    """The head with lids that meet in a blink and that its actions keep off the eyeballs of a person of neutral (V,3).

    The head's own actions close and are clear of the mean person's; another's eyes are larger or wider, and personal
    actions follow points seen in a picture, which tell no depth. Itself where its actions do not bear ARKit's names or
    its eyes are no spheres. The result's own hash is another; tracks refer to the head's.
    """
    basis = head.expression_basis
    for side, part in (("Left", "left_eyeball"), ("Right", "right_eyeball")):
        names = [name for name in actions_on_lids() if name + side in head.expression_names]
        eyeball = eyeball_of(head, neutral, part)
        if eyeball is None or "eyeBlink" not in names:
            continue
        rows = [head.expression_names.index(name + side) for name in names]
        moves = basis[rows].astype(np.float64)
        _close_and_clear(head, neutral.astype(np.float64), moves, names, eyeball, lid_rims(head, part))
        basis = basis.copy()
        basis[rows] = moves
    return head if basis is head.expression_basis else replace(head, expression_basis=basis)


def _close_and_clear(
    head: HeadModel, neutral: F64, moves: F64, names: Sequence[str], eyeball: Eyeball, rims: LidRims | None
) -> None:
    """Changes the moves (A,V,3) of one eye in place; without ``rims`` it only clears the lids.

    A push off the eye in one state moves the lids' edges along it in others, so that what it opens is closed again.
    """
    lids = lids_of(eyeball, head.regions["skin"], neutral)
    by_name = dict(zip(names, moves, strict=True))
    for attempt in range(CLOSINGS):
        blink = closing_blink(rims, neutral, by_name, eyeball) if rims else by_name["eyeBlink"]
        if attempt and np.array_equal(blink, by_name["eyeBlink"]):
            break
        by_name["eyeBlink"][:] = blink
        moves[:, lids] = pushed_out(neutral[lids], moves[:, lids], names, eyeball, PERSONAL_STATES)
