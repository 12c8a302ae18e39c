"""What is measured on an actor's face and on a character's over the same frames, and how well the two agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import measures as m

F64 = NDArray[np.float64]
Curves = Mapping[str, F64]

APERTURES = (m.LIPS, m.LIPS_LEFT, m.LIPS_RIGHT)
CONTACTS = (m.LIPS, *m.LIDS)
LIPS_CLOSED = 0.02
"""A lip aperture that is seen as closed, in parts of the distance between the eyes: 1.2 mm on a person."""
LIDS_CLOSED = 0.9
"""A lid closure that is seen as closed: 1 mm of a person's 10 is left."""
LIPS_OPEN, LIDS_OPEN = 0.035, 0.85
"""What is seen as open; between the two, a millimetre for lips, it is neither, and no character is judged by it."""
MINOR = m.CORNERS_UP
"""Measures that are shown and have a part in the fit, but ask for no help from other keys."""
_FEW = 6  # frames of contact, of which fewer say nothing
_MOVES = {name: 0.15 if name in m.LIDS else 0.025 for name in m.ALL}  # smaller ranges tell nothing: 1.5 mm
GOOD_CORRELATION, GOOD_SLOPE, GOOD_F1 = 0.95, (0.9, 1.1), 0.95
"""What a character's measures must reach to follow the actor's."""


@dataclass(frozen=True)
class Score:
    """How a character follows in one measure.

    ``span`` is the range of the actor's 1st to 99th percentile and ``moves`` whether that is more than noise: slope
    (least squares of the character's on the actor's) and correlation mean nothing else. ``contact`` is the F1 of the
    frames in which lips or lids are closed, of those on which the actor's are plainly closed or open; None where the
    measure has no contact or the actor's hardly ever close.
    """

    name: str
    slope: float
    correlation: float
    span: float
    moves: bool
    contact: float | None

    @property
    def off(self) -> float:
        """How far it is from following well enough; 0 where it does, or where there is nothing to follow."""
        lack = 0.0 if self.contact is None else max(0.0, GOOD_F1 - self.contact)
        if self.moves and self.name not in MINOR:
            lack += max(0.0, GOOD_CORRELATION - self.correlation)
            lack += max(0.0, GOOD_SLOPE[0] - self.slope, self.slope - GOOD_SLOPE[1])
        return lack

    @property
    def good(self) -> bool:
        """Whether the character's follows the actor's, or there is nothing to follow."""
        return self.off == 0.0


def measured(face: m.Face, offsets: Mapping[str, F64], values: Curves) -> dict[str, F64]:
    """Each measure (T,) of a face over frames.

    ``offsets`` are what its keys, by any name, move at 1 (V,3), and ``values`` what each key has (T,). Lips that touch
    have aperture 0 and lids that touch closure 1, however far they are pressed.
    """
    count = len(next(iter(values.values()), ()))
    curves = {name: np.full(count, measure.rest) for name, measure in face.measures.items()}
    for key, value in values.items():
        if key in offsets:
            for name, measure in face.measures.items():
                curves[name] += measure.of(offsets[key]) * value
    return {name: seen(name, curve) for name, curve in curves.items()}


def from_rest(curves: Curves, rest: int) -> dict[str, F64]:
    """Measures (T,) as they are with the face of frame ``rest`` at rest; half closed lids still close at 1."""
    out = {}
    for name, curve in curves.items():
        at = min(float(curve[rest]), 0.5) if name in m.LIDS else float(curve[rest])
        out[name] = seen(name, (curve - at) / (1.0 - at) if name in m.LIDS else curve - at)
    return out


def mirrored(curves: Curves) -> dict[str, F64]:
    """Measures with left and right swapped."""
    return {_other_side(name): curve for name, curve in curves.items()}


def _other_side(name: str) -> str:
    for one, other in ((" left", " right"), (" right", " left")):
        if name.endswith(one):
            return name.removesuffix(one) + other
    return name


def seen(name: str, curve: F64) -> F64:
    """A measure (T,) as the eye has it: contact ends lip aperture and lid closure."""
    if name in APERTURES:
        return np.maximum(curve, 0.0)
    return np.minimum(curve, 1.0) if name in m.LIDS else curve


def closed(name: str, curve: F64) -> NDArray[np.bool_]:
    """The frames (T,) in which lips or lids are seen closed."""
    return curve > LIDS_CLOSED if name in m.LIDS else curve < LIPS_CLOSED


def compare(actor: Curves, character: Curves) -> tuple[Score, ...]:
    """How the character's measures follow the actor's, for those that both faces have."""
    return tuple(_score(name, actor[name], character[name]) for name in m.ALL if name in actor and name in character)


def _score(name: str, actor: F64, character: F64) -> Score:
    low, high = np.percentile(actor, [1, 99])
    moves = bool(high - low > _MOVES[name])
    centred, other = actor - actor.mean(), character - character.mean()
    square, product = float(centred @ centred), float(centred @ other)
    slope = product / square if square > 0 else 0.0
    norm = np.sqrt(square * float(other @ other))
    contact = _contact(name, actor, character) if name in CONTACTS else None
    return Score(name, slope, product / norm if norm > 0 else 0.0, float(high - low), moves, contact)


def _contact(name: str, actor: F64, character: F64) -> float | None:
    """F1 of the frames that are closed, over those on which the actor's are plainly closed or plainly open."""
    wanted, got = closed(name, actor), closed(name, character)
    if wanted.sum() < _FEW:
        return None
    plain = wanted | (actor < LIDS_OPEN if name in m.LIDS else actor > LIPS_OPEN)
    return float(2 * (wanted & got).sum() / (wanted.sum() + (got & plain).sum()))
