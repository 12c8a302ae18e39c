"""What an animator reads off a face, as numbers: lip aperture, smile width, lid closure, brow height, jaw drop.

The points that are measured are found on any mesh from what its actions move: the lips' seam is where jawOpen parts
near points, a lid's edge is what eyeBlink moves most. Every measure is linear in the mesh's points, so what it does
over a take follows from a handful of vertices, without stepping through frames. Lengths are in parts of the distance
between the eyes, which makes faces of any size and proportion comparable; lid closure is 0 where the eye is open as at
rest and 1 where the lids meet. Sides are the character's. Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Index = NDArray[np.intp]

EYES = ("eyeBlinkLeft", "eyeBlinkRight")
CORNERS = ("mouthSmileLeft", "mouthSmileRight")
NEEDED = (*EYES, *CORNERS, "jawOpen")
"""The actions without which nothing can be found on a face."""

LIPS, LIPS_LEFT, LIPS_RIGHT = "lip aperture", "lip aperture left", "lip aperture right"
SMILE, JAW = "smile width", "jaw drop"
CORNERS_UP = ("mouth corner height left", "mouth corner height right")
LIDS = ("lid closure left", "lid closure right")
INNER_BROWS = ("inner brow height left", "inner brow height right")
OUTER_BROWS = ("outer brow height left", "outer brow height right")
ALL = (LIPS, LIPS_LEFT, LIPS_RIGHT, SMILE, *CORNERS_UP, *LIDS, *INNER_BROWS, *OUTER_BROWS, JAW)

_STEP, _LAST = 0.03, 0.9  # slices of the mouth from its middle on, in parts of the eyes' distance
_ALONG = np.array([0.17, 0.34])  # where along each half of the seam its aperture is measured
_NEAR = 0.16  # lips, in parts of the eyes' distance: facing points of the seam at rest
_SLIT = 1.5  # how much more than their distance at rest jawOpen parts facing points of a seam; skin is stretched less
_SEAM_END = 0.1  # of the parting in the middle; less is the corner of the mouth
_DEPTH = 2.0  # how much rather near than far in front two points of the seam should be
_SLICE = 0.03  # half thickness of a slice through mouth or lids at least, in parts of the eyes' distance
_LOWER_LIP = ("mouthClose", "mouthShrugLower", "mouthRollLower", "mouthLowerDownLeft", "mouthLowerDownRight")
_CHIN_DEPTH = 0.25  # of the chin, in the same parts: behind it is the throat
_CHIN = (0.35, 0.85)  # below the lips' seam, in parts of the eyes' distance: 0.65 on the open head's mean person
_ACROSS_LID = (-0.06, -0.03, 0.0, 0.03, 0.06)  # where a lid's edge is measured, in the same parts from its middle
# Where a brow is most likely, from the middle of the eye outwards and up, in the same parts: the open head's and ICT's.
_INNER_BROW, _OUTER_BROW, _BROW_SPREAD = (-0.17, 0.38), (0.2, 0.39), 0.15
SHORT = 0.2  # a lid that stops short of the lower one by more than this part of the opening does not close


class NoFace(Exception):  # noqa: N818 - its text is a sentence for the user
    """A mesh on which nothing can be measured: its text says why."""


@dataclass(frozen=True, eq=False)
class FaceMesh:
    """A face at rest and what moves it: ``points (V,3)``, ``edges (E,2)`` and for actions what weight 1 moves (V,3).

    Any unit, any axes. The offsets of an action are those of all that it drives together.
    """

    points: F64
    edges: Index
    actions: Mapping[str, F64]


@dataclass(frozen=True, eq=False)
class Measure:
    """A number read off a face: ``rest`` plus the sum of ``coefficients (n,3)`` · offsets of ``vertices (n,)``.

    ``rest`` is 0 but for lips that are open at rest: how much wider a smile is and how much higher a brow, not where.
    """

    vertices: Index
    coefficients: F64
    rest: float

    def of(self, offsets: NDArray[Any]) -> float:
        """By how much offsets (V,3) change it."""
        return float((self.coefficients * offsets[self.vertices]).sum())


@dataclass(frozen=True, eq=False)
class Face:
    """A face with its measures by name; ``short`` tells for each lid how far eyeBlink stops short of closing it (0…1).

    ``left``, ``up`` and ``ahead`` are unit vectors towards the character's left, its brow and out of its face;
    ``size`` is the distance between the eyes in the mesh's unit.
    """

    measures: Mapping[str, Measure]
    left: F64
    up: F64
    ahead: F64
    size: float
    short: Mapping[str, float]


def find_face(mesh: FaceMesh, whose: str = "it") -> Face:
    """Find what is measured on a face; ``whose`` names it in sentences.

    Raises:
        NoFace: an action in ``NEEDED`` is missing or moves nothing, or the lips have no seam.
    """
    for action in NEEDED:
        if action not in mesh.actions or not np.abs(mesh.actions[action]).max(initial=0.0) > 0:
            raise NoFace(f"No shape key of {whose} follows {action}, so its face cannot be measured.")
    skin = _skin(mesh)
    roughly = [_centre(mesh.points, mesh.actions[action], skin) for action in EYES]
    eyes = [points.mean(axis=0) for points in _Finder(mesh, skin, roughly).eyes()]
    return _Finder(mesh, skin, eyes).face()


class _Finder:
    """Finds points on one mesh, in a frame of its own: x to the character's left, y up, z ahead, 1 between the eyes."""

    def __init__(self, mesh: FaceMesh, skin: NDArray[np.bool_], eyes: list[F64]) -> None:
        mouth = np.mean([_centre(mesh.points, mesh.actions[action], skin) for action in CORNERS], axis=0)
        across = eyes[0] - eyes[1]
        self.size = float(np.linalg.norm(across))
        if not self.size > 0:
            raise NoFace("The eyeBlink of both sides moves the same points, so a face cannot be measured.")
        x = across / self.size
        middle = np.mean(eyes, axis=0)
        y = middle - mouth
        y -= (y @ x) * x
        y /= np.linalg.norm(y)
        self.mesh = mesh
        self.axes: F64 = np.stack([x, y, np.cross(x, y)])
        self.chosen: Index = np.flatnonzero(skin)
        self.points: F64 = (mesh.points[self.chosen] - middle) @ self.axes.T / self.size
        ends = self.points[np.searchsorted(self.chosen, mesh.edges[skin[mesh.edges].all(axis=1)])]
        self.mouth_y = float((mouth - middle) @ y / self.size)
        self.moved = {
            action: offsets[self.chosen] @ self.axes.T / self.size for action, offsets in mesh.actions.items()
        }
        inside = np.linalg.norm(ends.mean(axis=1) - (0.0, self.mouth_y, 0.0), axis=1) < 0.6
        grain = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)[inside]
        self.slice = max(_SLICE, 1.3 * float(np.median(grain)) if len(grain) else 0.0)

    def eyes(self) -> list[F64]:
        """The points (n,3) of the left and of the right eye's lids in the mesh."""
        return [self.mesh.points[self._lid(blink)[0].vertices] for blink in EYES]

    def face(self) -> Face:
        short: dict[str, float] = {}
        measures = {**self._lips(), JAW: self._jaw()}
        for side, sign in enumerate((1.0, -1.0)):
            measures[LIDS[side]], short[LIDS[side]] = self._lid(EYES[side])
            measures |= self._brow(side, sign)
        ordered = {name: measures[name] for name in ALL if name in measures}
        left, up, ahead = self.axes
        return Face(ordered, left, up, ahead, self.size, short)

    def _measure(self, rest: float, *parts: tuple[Index, float, int], unit: float = 1.0) -> Measure:
        """``rest`` plus the factor · the mean of points along an axis (0 x, 1 y, 2 z), summed over the parts."""
        vertices, coefficients = [], []
        for index, factor, axis in parts:
            vertices.append(self.chosen[index])
            row = self.axes[axis] * (factor / (unit * self.size * len(index)))
            coefficients.append(np.broadcast_to(row, (len(index), 3)))
        return Measure(np.concatenate(vertices), np.concatenate(coefficients), rest)

    def _lips(self) -> dict[str, Measure]:
        middle = self._seam(0.0)
        if middle is None:
            raise NoFace("What follows jawOpen parts no lips.")
        ends = [self._corner(middle, sign) for sign in (1.0, -1.0)]
        reach = [float(self.points[list(end), 0].mean()) for end in ends]
        measures = {}
        places = {LIPS_RIGHT: reach[1] * _ALONG, LIPS_LEFT: reach[0] * _ALONG}
        places[LIPS] = np.concatenate([places[LIPS_RIGHT], [0.0], places[LIPS_LEFT]])
        for name, xs in places.items():
            pairs = [pair for pair in (self._seam(float(x)) for x in xs) if pair is not None]
            upper, lower = np.array(pairs or [middle]).T
            gap = float((self.points[upper, 1] - self.points[lower, 1]).mean())
            rest = gap if gap > _NEAR / 2 else 0.0  # two points of touching lips are never quite at one height
            measures[name] = self._measure(rest, (upper, 1.0, 1), (lower, -1.0, 1))
        left, right = (np.array(end) for end in ends)
        for name, end in zip(CORNERS_UP, (left, right), strict=True):
            measures[name] = self._measure(0.0, (end, 1.0, 1))
        return {**measures, SMILE: self._measure(0.0, (left, 1.0, 0), (right, -1.0, 0))}

    def _corner(self, middle: tuple[int, int], sign: float) -> tuple[int, int]:
        """The last pair of the seam on a side."""
        end, missed = middle, 0
        for x in np.arange(_STEP, _LAST, _STEP):
            pair = self._seam(sign * x)
            if pair is None or not self._is_slit(pair, _SEAM_END * self._parting(*middle)):
                missed += 1
                if missed > 2:
                    break
            elif self.points[list(pair), 0].mean() * sign > self.points[list(end), 0].mean() * sign:
                end, missed = pair, 0
        return end

    def _parting(self, upper: int, lower: int) -> float:
        return float(self.moved["jawOpen"][upper, 1] - self.moved["jawOpen"][lower, 1])

    def _is_slit(self, pair: tuple[int, int], least: float) -> bool:
        apart = float(np.linalg.norm(self.points[pair[0]] - self.points[pair[1]]))
        return self._parting(*pair) > max(least, _SLIT * apart)

    def _seam(self, x: float) -> tuple[int, int] | None:
        """The points of upper and lower lip that face each other on the lips' seam at x; None where nothing parts."""
        at = np.flatnonzero(
            (np.abs(self.points[:, 0] - x) < self.slice) & (np.abs(self.points[:, 1] - self.mouth_y) < 0.5)
        )
        if not len(at):
            return None
        at = at[self.points[at, 2] > self.points[at, 2].max() - 0.6]
        points, drop = self.points[at], -self.moved["jawOpen"][at, 1]
        parting = drop[None, :] - drop[:, None]  # (upper, lower)
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        below = points[None, :, 1] - points[:, None, 1]
        near = (apart < _NEAR) & (parting > 0) & (below < 0.02)
        if not near.any():
            return None
        near &= parting > 0.6 * parting[near].max()
        aside = np.abs(points[:, None, 0] - x) + np.abs(points[None, :, 0] - x)
        score = np.where(near, points[:, None, 2] + points[None, :, 2] - _DEPTH * apart - aside, -np.inf)
        upper, lower = np.unravel_index(int(score.argmax()), score.shape)
        return int(at[upper]), int(at[lower])

    def _lid(self, blink: str) -> tuple[Measure, float]:
        """A lid's closure by its edge's middle, and how far full ``blink`` stops short."""
        drop = -self.moved[blink][:, 1]
        start = float(np.average(self.points[:, 0], weights=np.maximum(drop, 1e-9) ** 4))
        xs = start + np.arange(-0.3, 0.301, _STEP)
        pairs = np.array([self._lids_at(float(x), blink) for x in xs])
        opening = self.points[pairs[:, 0], 1] - self.points[pairs[:, 1], 1]
        is_open = opening > 0.5 * opening[len(xs) // 2]
        middle = float(xs[_around(is_open, len(xs) // 2)].mean())  # halfway between the corners of the eye
        upper, lower = np.array([self._lids_at(middle + x, blink) for x in _ACROSS_LID]).T
        gap = float((self.points[upper, 1] - self.points[lower, 1]).mean())
        landed = self.points + self.moved[blink]
        if gap <= 0:
            raise NoFace("Eyes are closed at rest, so lids cannot be measured.")
        left = float((landed[upper, 1] - landed[lower, 1]).mean())
        travel = gap - left if abs(left) < SHORT * gap else gap
        return self._measure(0.0, (upper, -1.0, 1), (lower, 1.0, 1), unit=travel), max(0.0, left / gap)

    def _lids_at(self, x: float, blink: str) -> tuple[int, int]:
        """The point of the upper lid's edge at x, and that of the lower lid's on which full ``blink`` brings it."""
        moved = self.moved[blink]
        drop = -moved[:, 1]
        edge = np.flatnonzero(drop > 0.3 * drop.max())
        near = edge[np.abs(self.points[edge, 0] - x) < self.slice]
        if not len(near):
            near = edge[[np.abs(self.points[edge, 0] - x).argmin()]]
        points = self.points[near]
        upper = near[(drop[near] - np.abs(points[:, 0] - x) - 0.5 * points[:, 1] + 0.25 * points[:, 2]).argmax()]
        still = np.flatnonzero(drop < 0.25 * drop.max())
        if not len(still) or not drop.max() > 0:
            raise NoFace(f"What follows {blink} closes no lid.")
        landed = self.points[still] + moved[still] - self.points[upper] - moved[upper]
        return int(upper), int(still[np.linalg.norm(landed, axis=1).argmin()])

    def _brow(self, side: int, sign: float) -> dict[str, Measure]:
        """Heights of the brow above the eyes, of what lifts and what lowers it both."""
        ending = ("Left", "Right")[side]
        found = {}
        lowered = np.maximum(-self.moved.get(f"browDown{ending}", np.zeros_like(self.points))[:, 1], 0.0)
        places = (
            (INNER_BROWS[side], "browInnerUp", _INNER_BROW),
            (OUTER_BROWS[side], f"browOuterUp{ending}", _OUTER_BROW),
        )
        for name, action, place in places:
            if action not in self.moved:
                continue
            aside = np.stack([self.points[:, 0] * sign - 0.5, self.points[:, 1]], axis=1) - place
            likely = np.exp(-0.5 * (aside**2).sum(axis=1) / _BROW_SPREAD**2)
            moved = np.maximum(self.moved[action][:, 1], 0.0) * likely
            if (moved * lowered).any():
                moved = moved * lowered
            top = np.flatnonzero(moved > 0.7 * moved.max())
            if len(top):
                found[name] = self._measure(0.0, (top, 1.0, 1))
        return found

    def _jaw(self) -> Measure:
        """The drop of the chin, where it goes with the jaw and least with the lower lip."""
        drop = -self.moved["jawOpen"][:, 1]
        below = self.mouth_y - self.points[:, 1]
        chin = (np.abs(self.points[:, 0]) < 0.15) & (below > _CHIN[0]) & (below < _CHIN[1])
        chin &= self.points[:, 2] > self.points[chin, 2].max(initial=-np.inf) - _CHIN_DEPTH
        here = np.flatnonzero(chin & (drop > 0.8 * drop[chin].max(initial=0.0)) & (drop > 0.4 * drop.max()))
        if not len(here):
            here = np.flatnonzero(drop > 0.8 * drop.max())
        lip = np.zeros(len(here))
        for action in _LOWER_LIP:
            if action in self.moved:
                lip += np.abs(self.moved[action][here, 1])
        return self._measure(0.0, (here[np.argsort(lip, kind="stable")[: max(3, len(here) // 4)]], -1.0, 1))


def _around(mask: NDArray[np.bool_], at: int) -> slice:
    """The run of a mask's true places about one of them."""
    false = np.flatnonzero(~mask)
    before, after = false[false < at], false[false > at]
    return slice(int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(mask))


def _centre(points: F64, offsets: F64, skin: NDArray[np.bool_]) -> F64:
    """The middle of what offsets (V,3) move most of the skin."""
    size = np.linalg.norm(offsets, axis=1) * skin
    return np.asarray(points[size > 0.6 * size.max()].mean(axis=0))


def _skin(mesh: FaceMesh) -> NDArray[np.bool_]:
    """The vertices (V,) of the pieces that smile and blink, not teeth, tongue, eyes and lashes.

    Pieces hang together by edges or by points at one place, as where a file has split them along seams.
    """
    moved = np.zeros(len(mesh.points), bool)
    for action in (*EYES, *CORNERS):
        size = np.linalg.norm(mesh.actions[action], axis=1)
        moved |= size > 0.05 * size.max()
    piece = _pieces(mesh)
    count = np.bincount(piece[moved], minlength=int(piece.max()) + 1)
    return np.asarray((count > 0.3 * count.max())[piece])


def _pieces(mesh: FaceMesh) -> Index:
    """The number (V,) of the piece that each vertex belongs to."""
    grain = 1e-6 * float(np.ptp(mesh.points, axis=0).max() or 1.0)
    _, label = np.unique(np.round(mesh.points / grain).astype(np.int64), axis=0, return_inverse=True)
    label = np.asarray(label, np.intp).reshape(-1)
    one, other = label[mesh.edges[:, 0]], label[mesh.edges[:, 1]]
    root = np.arange(int(label.max()) + 1)
    while True:
        low = np.minimum(root[one], root[other])
        before = root.copy()
        np.minimum.at(root, root[one], low)
        np.minimum.at(root, root[other], low)
        root = root[root]
        if (root == before).all():
            return np.asarray(np.unique(root, return_inverse=True)[1].reshape(-1)[label])
