"""Gains with which a character's face follows the actor's in proportion: solved from a few extreme frames of a take.

Each link's gain is chosen such that lip aperture, smile width, lid closure, brow height and jaw drop of the character
are the actor's, where lips or lids touch above all: bounded, regularised least squares, which stays near the gains that
are there and near the same for both sides. Where a character's own keys cannot do it, an action gets a share of another
key, as an animator would give it (a squint some of the blink). Numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..mapping import KeyLink
from ..mapping import Mapping as Links
from . import compared, gains
from . import measures as m
from .character import Character, follow

F64 = NDArray[np.float64]
Index = NDArray[np.intp]

_FRAMES, _APART = 4, 4  # of each measure's lowest and highest frames, and how far apart
_CONTACT_FRAMES = 16
_CONTACTS: tuple[tuple[tuple[str, ...], dict[str, float]], ...] = (
    (compared.APERTURES, {"jawOpen": 1.0, "mouthClose": 1.0}),
    (compared.APERTURES, {"jawOpen": 0.5, "mouthClose": 0.5}),
    (m.LIDS, dict.fromkeys(m.EYES, 1.0)),
)
"""What closes by ARKit's definition of the actions: measures, and the weights that close them."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The mapping with new gains, the frames (n,) of the take that it was solved from, and how it was and is followed.

    ``helpers`` are the links that it has got besides, and ``at_end`` the keys that it wants beyond their sliders.
    """

    mapping: Links
    frames: Index
    before: tuple[compared.Score, ...]
    after: tuple[compared.Score, ...]
    helpers: tuple[KeyLink, ...]
    at_end: tuple[str, ...]

    @property
    def kept(self) -> bool:
        """True where no gains were found that follow better than those that there were."""
        return self.before == self.after


def calibrate(
    mapping: Links, weights: Mapping[str, F64], actor: compared.Curves, character: Character, rest: int | None = None
) -> Calibration:
    """Solve a mapping's gains.

    ``weights`` are the actor's (T,) by action and ``actor`` its measures (T,). ``rest`` is the frame on which the actor
    is at rest: there the character is, too, by offsets; None where weights are 0 at rest. Muted links and those of
    which the measures do not tell stay as they are.
    """
    before = compared.compare(actor, follow(mapping, weights, character))
    started = mapping
    if rest is not None:
        started, actor = at_rest(mapping, weights, rest), compared.from_rest(actor, rest)
    frames = extreme_frames(actor)
    touching, touched = _contacts()
    some = {
        name: np.append(curve[frames], touching.get(name, np.zeros(len(_CONTACTS)))) for name, curve in weights.items()
    }
    wanted = {name: np.append(curve[frames], touched[name]) for name, curve in actor.items()}
    still = {action: float(curve[rest]) for action, curve in weights.items()} if rest is not None else {}
    solver = gains.Solver(started, some, wanted, character, still)
    _, solved, ended = min(_attempts(solver, actor, weights, character), key=lambda tried: tried[0])
    after = compared.compare(actor, follow(solved, weights, character))
    return Calibration(solved, frames, before, after, solved.keys[len(mapping.keys) :], ended)


def _contacts() -> tuple[dict[str, F64], dict[str, F64]]:
    """Frames on which lips or lids close whoever plays them: weights (n,) of actions, measures (n,), NaN if unknown.

    A take may not hold them, but the next one that the mapping is used for may.
    """
    actions = {name for _, together in _CONTACTS for name in together}
    weights = {name: np.array([together.get(name, 0.0) for _, together in _CONTACTS]) for name in actions}
    measured = {
        name: np.array([(1.0 if name in m.LIDS else 0.0) if name in closed else np.nan for closed, _ in _CONTACTS])
        for name in m.ALL
    }
    return weights, measured


def _attempts(
    solver: gains.Solver, actor: compared.Curves, weights: Mapping[str, F64], character: Character
) -> Iterator[tuple[float, Links, tuple[str, ...]]]:
    """Solutions with ever more help and stress, each with how far it is from good and the keys at an end.

    The last is what there was: a face that hardly moves tells of no gain.
    """
    present = solver.present()
    while True:
        solver.solve()
        tried = _rounded(solver.without_small_shares())
        scores = compared.compare(actor, follow(tried, weights, character))
        yield sum(score.off for score in scores), tried, solver.at_end
        behind = [score.name for score in scores if not score.good]
        if not behind or not (solver.help() or solver.insist(behind)):
            break
    scores = compared.compare(actor, follow(present, weights, character))
    yield sum(score.off for score in scores), present, ()


def extreme_frames(actor: compared.Curves) -> Index:
    """The frames (n,) of a take on which a measure is at its lowest or highest, or lips or lids are closed."""
    chosen: set[int] = set()
    for name, curve in actor.items():
        for order in (np.argsort(curve, kind="stable"), np.argsort(-curve, kind="stable")):
            chosen.update(_spread(order))
        if name in compared.CONTACTS:
            touching = np.flatnonzero(compared.closed(name, curve))
            some = np.linspace(0, len(touching) - 1, min(len(touching), _CONTACT_FRAMES)).astype(int)
            chosen.update(touching[some].tolist())
    return np.array(sorted(chosen), np.intp)


def _spread(order: Index) -> list[int]:
    """The first frames of an order that are apart from each other."""
    found: list[int] = []
    for frame in order[: 40 * _FRAMES].tolist():
        if all(abs(frame - other) >= _APART for other in found):
            found.append(frame)
        if len(found) == _FRAMES:
            break
    return found


def at_rest(mapping: Links, weights: Mapping[str, F64], rest: int) -> Links:
    """The mapping with offsets that make the actor's weights on a frame nothing; less than at rest is nothing, too."""
    links = []
    for link in mapping.keys:
        weight, response = weights.get(mapping.action_of(link)), link.response
        if weight is not None and not response.mute:
            offset = -response.gain * float(weight[rest])
            if response.gain > 0:
                response = replace(response, offset=offset, low=max(response.low, 0.0))
            else:
                response = replace(response, offset=offset, high=min(response.high, 0.0))
        links.append(replace(link, response=response))
    return replace(mapping, keys=tuple(links))


def _rounded(mapping: Links) -> Links:
    """The mapping with numbers that a person reads."""
    links = []
    for link in mapping.keys:
        response = link.response
        response = replace(response, gain=round(response.gain, 3), offset=round(response.offset, 4))
        links.append(replace(link, response=response))
    return replace(mapping, keys=tuple(links))
