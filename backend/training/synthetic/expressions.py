"""Expressions of rendered faces: mixtures of the 52 actions and set pieces, and where the eyes look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from protocol.face_actions import ARKIT_ACTIONS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MAX_GAZE = np.deg2rad((35.0, 25.0))
"""Yaw to either side and pitch up and down."""

PIECES: Mapping[str, Mapping[str, float]] = {
    "closed eyes": {"eyeBlink": 1.0},
    "smile": {"mouthSmile": 0.9, "cheekSquint": 0.6, "eyeSquint": 0.3, "mouthUpperUp": 0.3},
    "grin": {"mouthSmile": 1.0, "cheekSquint": 0.9, "jawOpen": 0.3, "mouthUpperUp": 0.4},
    "scream": {
        "jawOpen": 1.0, "mouthStretch": 0.6, "eyeSquint": 0.7, "browDown": 0.8, "noseSneer": 0.6, "mouthUpperUp": 0.5,
    },
    "gasp": {"jawOpen": 0.8, "browInnerUp": 1.0, "browOuterUp": 1.0, "eyeWide": 1.0},
    "pucker": {"mouthPucker": 1.0, "browInnerUp": 0.4},
    "funnel": {"mouthFunnel": 1.0, "jawOpen": 0.3},
    "puffed cheeks": {"cheekPuff": 1.0, "mouthPress": 0.5},
    "frown": {"mouthFrown": 1.0, "browDown": 0.9, "mouthShrugLower": 0.7},
    "tongue out": {"tongueOut": 1.0, "jawOpen": 0.45},
    "sneer": {"noseSneer": 1.0, "mouthUpperUp": 0.8, "browDown": 0.6},
    "wink": {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.7, "mouthSmileLeft": 0.5},
    "grimace": {"mouthLeft": 0.8, "jawLeft": 0.7, "browOuterUpRight": 0.9, "eyeSquintLeft": 0.8},
    "smirk": {"mouthSmileRight": 1.0, "mouthRight": 0.4, "browDownLeft": 0.9, "cheekSquintRight": 0.8},
    "pressed": {"mouthPress": 0.8, "mouthRollLower": 0.6, "mouthRollUpper": 0.6},
    "pout": {"mouthShrugLower": 0.9, "mouthShrugUpper": 0.6, "browInnerUp": 0.5},
    "aa": {"jawOpen": 0.45, "mouthLowerDown": 0.25},
    "ee": {"jawOpen": 0.15, "mouthStretch": 0.5, "mouthSmile": 0.3, "mouthUpperUp": 0.2},
    "eh": {"jawOpen": 0.25, "mouthStretch": 0.3, "mouthLowerDown": 0.3},
    "oh": {"jawOpen": 0.25, "mouthFunnel": 0.6},
    "oo": {"jawOpen": 0.1, "mouthPucker": 0.75},
    "ff": {"jawOpen": 0.08, "mouthRollLower": 0.5, "mouthUpperUp": 0.3},
    "ss": {"jawOpen": 0.06, "mouthUpperUp": 0.35, "mouthLowerDown": 0.4, "mouthStretch": 0.2},
}  # fmt: skip
"""Actions of faces seen often or hard to follow. A name without a side means both sides."""

TONGUES = 0.08
"""Of the set pieces, beyond its turn among them: how often the tongue is out. Few real pictures show one."""

_SIDED = {name.removesuffix("Left").removesuffix("Right") for name in ARKIT_ACTIONS}
_OPPOSED = {"jaw", "mouth"}  # one movement to either side, never both at once


@dataclass(frozen=True, eq=False)
class Performance:
    """``strengths (52,)`` in 0…1 in the order of ``ARKIT_ACTIONS``; ``gaze (2,2)`` (left, right) × (yaw, pitch)."""

    strengths: F32
    gaze: F64


def perform(random: np.random.Generator) -> Performance:
    """Draw what a face does at one moment."""
    strengths = np.zeros(len(ARKIT_ACTIONS))
    kind = random.random()
    if kind > 0.12:
        if kind > 0.45:
            piece = "tongue out" if random.random() < TONGUES else random.choice(list(PIECES))
            _add(strengths, PIECES[str(piece)], random.uniform(0.5, 1.0), random)
        if kind < 0.6 or kind > 0.92:
            _scatter(strengths, random)
    return _with_gaze(np.clip(strengths, 0, 1), _gaze(random), blink=0.06, random=random)


def perform_piece(name: str) -> Performance:
    """One of ``PIECES`` at full strength, the eyes ahead."""
    strengths = np.zeros(len(ARKIT_ACTIONS))
    _add(strengths, PIECES[name], 1.0, None)
    return Performance(strengths.astype(np.float32), np.zeros((2, 2)))


def _rows(action: str) -> list[int]:
    names = (action,) if action in ARKIT_ACTIONS else (f"{action}Left", f"{action}Right")
    return [ARKIT_ACTIONS.index(name) for name in names]


def _add(strengths: F64, piece: Mapping[str, float], amount: float, random: np.random.Generator | None) -> None:
    """Add a piece; with ``random`` mirrored half the time and never quite the same on both sides."""
    mirrored = random is not None and random.random() < 0.5
    for action, strength in piece.items():
        for row in _rows(_mirror(action) if mirrored else action):
            wobble = 1.0 if random is None else float(np.clip(random.normal(1.0, 0.15), 0.5, 1.3))
            strengths[row] = max(strengths[row], amount * strength * wobble)


def _mirror(action: str) -> str:
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if action.endswith(side):
            return action.removesuffix(side) + other
    return action


def _scatter(strengths: F64, random: np.random.Generator) -> None:
    """A few actions at random; those with two sides mostly move together."""
    stems = sorted(stem for stem in _SIDED if not stem.startswith("eyeLook"))
    for stem in random.choice(stems, size=random.integers(1, 7), replace=False):
        strength = random.beta(1.3, 1.6)
        rows = _rows(str(stem))
        if len(rows) == 1:
            strengths[rows[0]] = max(strengths[rows[0]], strength)
        elif stem in _OPPOSED:
            strengths[rows[random.integers(2)]] = strength
        else:
            sides = random.choice(3, p=(0.6, 0.2, 0.2))
            balance = np.clip(random.normal(1, 0.15, 2), 0.6, 1.4) * ((1, 1), (1, 0.1), (0.1, 1))[sides]
            strengths[rows] = np.maximum(strengths[rows], strength * balance)


def _gaze(random: np.random.Generator) -> F64:
    """(2,2) radians: mostly near the middle, sometimes at the limits, now and then a little crossed."""
    spread = random.choice((0.15, 0.45, 1.0), p=(0.35, 0.4, 0.25))
    look = np.clip(random.normal(0, spread, 2), -1, 1) * MAX_GAZE
    crossed = np.deg2rad(random.uniform(0, 8) if random.random() < 0.3 else random.normal(0, 0.8))
    return look + crossed / 2 * np.array([(-1.0, 0.0), (1.0, 0.0)])


def _with_gaze(strengths: F64, gaze: F64, blink: float, random: np.random.Generator) -> Performance:
    """Let the lids follow the eyes as far as they are open, and now and then blink, fully or half."""
    if random.random() < 0.12:
        rows = _rows("eyeBlink")
        closed = 1.0 if random.random() < blink / 0.12 else random.uniform(0.2, 1.0)
        strengths[rows] = np.maximum(strengths[rows], closed)
    for side, actions in enumerate(LOOK_ACTIONS):
        opened = 1 - strengths[_rows("eyeBlink")[side]]
        yaw, pitch = gaze[side]
        for action, angle in zip(actions, (yaw, -yaw, pitch, -pitch), strict=True):
            strengths[ARKIT_ACTIONS.index(action)] = np.clip(angle / FULL_LOOK_ANGLE, 0, 1) * opened
        for action in ("eyeWide", "eyeSquint"):
            strengths[_rows(action)[side]] *= opened
    return Performance(strengths.astype(np.float32), gaze)
