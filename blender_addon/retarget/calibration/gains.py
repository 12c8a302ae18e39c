"""Least squares on the gains of a mapping, so that a character measures what the actor does. Numpy only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...vendor import face_actions
from .. import evaluate
from ..mapping import KeyLink, Response
from ..mapping import Mapping as Links
from . import compared
from . import measures as m
from .character import Character

F64 = NDArray[np.float64]

GAINS = (0.4, 2.5)
"""What a gain may become, as a factor of what it was."""
SHARE = 0.4
"""The most that an action may get of another action's key, on either side of 0."""
LEAST_SHARE = 0.04
"""A smaller share is not worth a link: it moves nothing by a millimetre."""
MOST_HELPERS = 2
"""For brows, for lids and for the mouth, a pair of both sides being one; with more nobody would understand the rig."""

# What it costs to change a gain to twice or to nothing, to give a whole share, and to change one side's gain only;
# beside it stands the mean square error of the measures, each in parts of its range.
_MAIN_COST, _COST, _SHARE_COST, _BOTH_SIDES = 1e-4, 1e-3, 1e-3, 1e-3
_CONTACT = 6.0  # how much more it counts where lips or lids do not close
_TOUCH = ((-0.4 * compared.LIPS_CLOSED, 1.5 * compared.LIPS_CLOSED), (0.97, 1.15))
"""For lips and lids: how far closing has to go, where the actor's go as far, and where they go through each other."""
_MINOR = 0.5
_STRESS, _MOST_STRESS = 1.5, 3.0
_ONE_SIDED = 3.0  # times as much on one side as on the other
_WORTH = 0.03  # of the square error; a helper that takes away less is none
_ROUNDS, _SWEEPS = 12, 80
_LEAST_SPAN = {name: 0.3 if name in m.LIDS else 0.06 for name in m.ALL}  # smaller ranges are fitted less closely

_MAIN = ("jawOpen", "mouthClose", "mouthSmile", "eyeBlink", "browDown", "browInnerUp", "browOuterUp")
_OTHERS = (
    *("mouthFunnel", "mouthPucker", "mouthStretch", "mouthDimple", "mouthUpperUp", "mouthLowerDown"),
    *("mouthShrugUpper", "mouthShrugLower", "eyeSquint", "eyeWide", "eyeLookDown", "eyeLookUp"),
)
"""Actions whose gains the measures tell: what makes them, and what has a part in them. All others keep theirs."""
CLOSING = ("eyeBlink", "mouthClose")
"""Actions whose keys are let go beyond their sliders: what is closed stays closed."""

_HELP = {
    "eyeBlink": ("eyeSquint", "eyeLookDown", "cheekSquint", "eyeWide"),
    "browDown": ("noseSneer",),
    "browInnerUp": ("browOuterUp", "browDown"),
    "browOuterUp": ("browInnerUp", "browDown"),
    "mouthClose": ("jawOpen", "mouthFunnel", "mouthShrugLower"),
    "mouthUpperUp": ("noseSneer", "mouthSmile", "mouthFunnel"),
    "mouthLowerDown": ("jawOpen", "mouthFunnel"),
    "mouthStretch": ("mouthSmile", "jawOpen"),
    "mouthSmile": ("cheekSquint", "noseSneer", "mouthDimple"),
}
"""By the action whose key helps: those that it may help, which move the same part of a face; sides go with sides."""


_PARTS = ("brow", "eye", "mouth")


class Solver:
    """Gauss–Newton on the gains of a mapping's links, for frames on which the actor's weights and measures are known.

    ``weights (n,)`` by action and ``actor`` (n,) by measure are of the same n frames; frames with measures that are
    NaN, unknown, are none of the take. ``at_rest`` are the weights with which the character is at rest, where not 0.
    """

    def __init__(
        self,
        mapping: Links,
        weights: Mapping[str, F64],
        actor: compared.Curves,
        character: Character,
        at_rest: Mapping[str, float],
    ):
        self._mapping, self._weights, self._actor, self._character = mapping, weights, actor, character
        self._own, self._at_rest = len(mapping.keys), at_rest
        self._helped: list[str] = []  # by part of the face
        self._names = [name for name in character.face.measures if name in actor]
        self._still = np.zeros(len(next(iter(actor.values()))))
        self._played = ~np.isnan([actor[name] for name in self._names]).any(axis=0)
        self._effects = {
            key: np.array([character.face.measures[name].of(offsets) for name in self._names])
            for key, offsets in character.keys.items()
        }
        self._scale = np.array(
            [max(float(np.nanmax(actor[name]) - np.nanmin(actor[name])), _LEAST_SPAN[name]) for name in self._names]
        )
        self._stress = np.where(np.isin(self._names, compared.MINOR), _MINOR, 1.0)
        self._start = np.array([link.response.gain for link in mapping.keys])
        self._gains = self._start.copy()
        self.at_end: tuple[str, ...] = ()
        """Keys that would have to go further than their sliders or the most of a gain."""

    def solve(self) -> Links:
        """The mapping with the gains that fit best, and with the helpers that there are so far."""
        free = [n for n in range(len(self._mapping.keys)) if n >= self._own or self._is_told(n)]
        self._jacobian, self._normal = np.zeros((0, 0)), np.zeros((0, 0))
        if free:
            self._iterate(np.array(free, np.intp))
        return self._with(self._gains)

    def present(self) -> Links:
        """The mapping with the gains that it has so far."""
        return self._with(self._gains)

    def help(self) -> bool:
        """Let the key that helps most take part in another action, on both sides; False where none helps enough."""
        if not self._normal.size:
            return False
        error, _ = self._linearised(self._with(self._gains), [])
        best, most = None, _WORTH * float(error @ error)
        for group in self._helpers():
            tried = self._with_links(group)
            _, columns = self._linearised(tried, list(range(len(self._mapping.keys), len(tried.keys))))
            direction = columns.sum(axis=1)
            seen = self._jacobian.T @ direction  # what the free gains would take over is no merit of the helper
            alone = float(direction @ direction) - float(seen @ np.linalg.solve(self._normal, seen))
            gain = float(direction @ error) ** 2 / (alone + _SHARE_COST * len(group))
            if gain > most:
                best, most = group, gain
        if best is None:
            return False
        self._mapping = self._with_links(best)
        self._helped.append(_part_of(best[0].key, self._drives()))
        self._start = np.append(self._start, np.zeros(len(best)))
        self._gains = np.append(self._gains, np.zeros(len(best)))
        return True

    def insist(self, names: Collection[str]) -> bool:
        """Let these measures count more than the others; False where they do so by much already."""
        chosen = np.isin(self._names, list(names)) & (self._stress < _MOST_STRESS)
        self._stress[chosen] *= _STRESS
        return bool(chosen.any())

    def without_small_shares(self) -> Links:
        """The mapping without helpers that came out too small to be worth a link."""
        links = self._with(self._gains)
        kept = [n for n in range(len(links.keys)) if n < self._own or abs(self._gains[n]) >= LEAST_SHARE]
        return replace(links, keys=tuple(links.keys[n] for n in kept))

    def _is_told(self, n: int) -> bool:
        """Whether the frames tell of a link: its action and its key move something that is measured."""
        link = self._mapping.keys[n]
        effect = self._effects.get(link.key)
        if link.response.mute or effect is None or not link.response.gain:
            return False
        if stem_of(link.action) not in (*_MAIN, *_OTHERS):
            return False
        used = float(np.ptp(self._weight(link))) * np.abs(effect) / self._scale
        return bool(used.max() > 0.02)

    def _weight(self, link: KeyLink) -> F64:
        return self._weights.get(self._mapping.action_of(link), self._still)

    def _helpers(self) -> list[tuple[KeyLink, ...]]:
        """The helpers that there might be, both sides of one together, as links of gain 0."""
        linked = {(link.action, link.key) for link in self._mapping.keys}
        groups: dict[tuple[str, str], list[KeyLink]] = {}
        for link in self._mapping.keys[: self._own]:
            stem = stem_of(link.action)
            if link.response.mute or link.key not in self._effects or not link.response.gain:
                continue
            for action in face_actions.ARKIT_ACTIONS:
                sides = {side_of(action), self._side_of_key(link.key)} - {""}
                if stem_of(action) in _HELP.get(stem, ()) and len(sides) < 2 and (action, link.key) not in linked:
                    helper = KeyLink(action, link.key, Response(gain=0.0))
                    groups.setdefault((stem, stem_of(action)), []).append(helper)
        drives = self._drives()
        there = {part for part in _PARTS if self._helped.count(part) < MOST_HELPERS}
        return [tuple(group) for group in groups.values() if _part_of(group[0].key, drives) in there]

    def _side_of_key(self, key: str) -> str:
        """The side of the face that a key moves, "" where it moves both; told by what is measured."""
        effect = np.abs(self._effects[key])
        left, right = (
            float(effect[[name.endswith(side) for name in self._names]].sum()) for side in (" left", " right")
        )
        if max(left, right) < _ONE_SIDED * min(left, right):
            return ""
        return "Left" if left > right else "Right"

    def _drives(self) -> dict[str, str]:
        """The action that each key is of: the first that drives it."""
        return {link.key: link.action for link in reversed(self._mapping.keys[: self._own])}

    def _with_links(self, links: tuple[KeyLink, ...]) -> Links:
        present = self._with(self._gains)
        return replace(present, keys=(*present.keys, *links))

    def _with(self, gains: F64) -> Links:
        """The mapping with gains (L,), offsets in proportion."""
        links = []
        for n, (link, gain) in enumerate(zip(self._mapping.keys, gains.tolist(), strict=True)):
            old = link.response
            if n >= self._own:
                offset = -gain * self._at_rest.get(self._mapping.action_of(link), 0.0)
            else:
                offset = old.offset * gain / old.gain if old.gain else old.offset
            links.append(replace(link, response=replace(old, gain=gain, offset=offset)))
        return replace(self._mapping, keys=tuple(links))

    def _iterate(self, free: NDArray[np.intp]) -> None:
        helper = free >= self._own
        unit = np.where(helper, 1.0, np.abs(self._start[free]))
        aim = np.where(helper, 0.0, self._start[free])
        ends = np.sort(np.outer(GAINS, self._start[free]), axis=0)
        low, high = np.where(helper, -SHARE, ends[0]), np.where(helper, SHARE, ends[1])
        high = np.where(helper, high, self._within_slider(free, high))
        main = np.array([stem_of(self._mapping.keys[n].action) in _MAIN for n in free.tolist()])
        cost = np.where(helper, _SHARE_COST, np.where(main, _MAIN_COST, _COST)) / unit**2
        ties = self._ties(free, unit)
        for _ in range(_ROUNDS):
            error, jacobian = self._linearised(self._with(self._gains), free.tolist())
            normal = jacobian.T @ jacobian + np.diag(cost) + ties.T @ ties
            self._jacobian, self._normal = jacobian, normal
            right = jacobian.T @ (jacobian @ self._gains[free] - error) + cost * aim
            new = _bounded(normal, right, low, high, self._gains[free])
            change = float(np.abs(new - self._gains[free]).max())
            self._gains[free] = new
            if change < 1e-3:
                break
        held = (new >= high - 1e-3) & ~helper
        self.at_end = tuple(dict.fromkeys(self._mapping.keys[n].key for n in free[held].tolist()))

    def _within_slider(self, free: NDArray[np.intp], high: F64) -> F64:
        """Highest gains (F,) that leave an action's highest weights apart on its key's slider, and no plateau.

        Lids and lips are let go beyond: what is closed stays closed.
        """
        limits = high.copy()
        for at, n in enumerate(free.tolist()):
            link = self._mapping.keys[n]
            if n >= self._own or self._start[n] < 0 or stem_of(link.action) in CLOSING:
                continue
            most = float(self._weight(link)[self._played].max(initial=0.0))
            limits[at] = min(high[at], max(self._start[n], self._character.sliders[link.key][1] / max(most, 1e-3)))
        return limits

    def _ties(self, free: NDArray[np.intp], unit: F64) -> F64:
        """Rows (n,F) that are 0 where like links of both sides change in the same proportion."""
        drives = self._drives()
        place = {}
        for at, n in enumerate(free.tolist()):
            link = self._mapping.keys[n]
            place[link.action, drives.get(link.key, "")] = at
        rows = []
        for (action, driver), at in place.items():
            mate = place.get((face_actions.mirrored(action), face_actions.mirrored(driver)))
            if mate is not None and mate > at:
                row = np.zeros(len(free))
                row[at], row[mate] = np.sqrt(_BOTH_SIDES) / unit[at], -np.sqrt(_BOTH_SIDES) / unit[mate]
                rows.append(row)
        return np.array(rows).reshape(-1, len(free))

    def _linearised(self, mapping: Links, free: list[int]) -> tuple[F64, F64]:
        """The weighted errors (E,) of all measures on all frames, and how the gains of some links change them (E,F)."""
        values = evaluate.key_values({"": self._still, **self._weights}, mapping)
        measures = self._character.face.measures
        got = np.tile([measures[name].rest for name in self._names], (len(self._still), 1))
        moves = {}
        for key, value in values.items():
            if key in self._effects:
                low, high = self._character.sliders[key]
                moves[key] = (value > low - 1e-9) & (value < high + 1e-9)
                got += np.clip(value, low, high)[:, None] * self._effects[key]
        error, weight = self._errors(got)
        columns = np.zeros((error.size, len(free)))
        for at, n in enumerate(free):
            link, response = mapping.keys[n], mapping.keys[n].response
            shift = response.offset / response.gain if response.gain else 0.0
            moved = self._weight(link) + shift
            value = response.gain * moved
            inside = moves[link.key] & (value > response.low - 1e-9) & (value < response.high + 1e-9)
            columns[:, at] = (weight * (inside * moved)[:, None] * self._effects[link.key]).ravel()
        return (weight * error).ravel(), columns

    def _errors(self, got: F64) -> tuple[F64, F64]:
        """By how much measures (T,M) are off, and what that costs: contact comes first, however firm it is."""
        error, weight = np.empty_like(got), np.ones_like(got)
        for at, name in enumerate(self._names):
            wanted = self._actor[name]
            known = ~np.isnan(wanted)
            error[:, at], weight[:, at] = np.where(known, got[:, at] - wanted, 0.0), known
            sign = 1.0 if name in m.LIDS else -1.0  # of closing
            if name in (*compared.APERTURES, *m.LIDS):
                enough, firm = _TOUCH[0 if name in compared.APERTURES else 1]
                touch = compared.closed(name, wanted)
                short = np.minimum(sign * got[:, at] - np.fmin(enough, sign * wanted), 0.0)
                over = np.maximum(sign * got[:, at] - firm, 0.0)
                error[touch, at] = sign * (short + over)[touch]
                weight[touch & (short < 0), at] = _CONTACT
        weight *= self._stress / self._scale
        weight /= np.sqrt(got.size)
        return error, weight


def stem_of(action: str) -> str:
    """An action's name without its side."""
    return action.removesuffix(side_of(action))


def side_of(action: str) -> str:
    """ "Left", "Right" or nothing."""
    return next((side for side in ("Left", "Right") if action.endswith(side)), "")


def _part_of(key: str, drives: Mapping[str, str]) -> str:
    """The part of the face that a key moves: the first letters of its action's name tell it."""
    return next((part for part in _PARTS[:-1] if drives[key].startswith(part)), _PARTS[-1])


def _bounded(normal: F64, right: F64, low: F64, high: F64, start: F64) -> F64:
    """The x within bounds that minimises x·normal·x/2 − right·x, by coordinate descent."""
    x = np.clip(start, low, high)
    for _ in range(_SWEEPS):
        before = x.copy()
        for at in range(len(x)):
            x[at] = np.clip(x[at] + (right[at] - normal[at] @ x) / normal[at, at], low[at], high[at])
        if np.abs(x - before).max() < 1e-5:
            break
    return x
