"""Eyelashes as geometry: a dark rim along each upper lid and single lashes that point away from the eye.

Roots follow the lids' landmarks. A lash's direction follows from where its root is about the eyeball, so lashes of
closed lids point downwards. Heads' own strips, made for a transparent picture, hide under the lids when drawn solid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from backend.head_model.hair import Hair, at_points, atlas_places, eyes_and_scale
from backend.head_model.model import HeadModel, SurfacePoints

F64 = NDArray[np.float64]

PART = "lashes"
POINTS = 478
_UPPER = ((263, 466, 388, 387, 386, 385, 384, 398, 362), (33, 246, 161, 160, 159, 158, 157, 173, 133))
_LOWER = ((263, 249, 390, 373, 374, 380, 381, 382, 362), (33, 7, 163, 144, 145, 153, 154, 155, 133))
"""MediaPipe's points along the left and the right eye's lids, from the outer to the inner corner."""


@dataclass(frozen=True)
class Row:
    """The lashes of one lid.

    Adults' lashes are 8 to 12 mm long above and 6 to 8 below, along the curve; what is drawn is the chord of most.
    """

    count: int
    lengths: tuple[float, float, float]  # mm at the outer corner, at a third of the lid, at the inner corner
    turn: float  # degrees from the eye's radius, upwards
    rim: float  # mm that the dark rim is wide


ROWS = (Row(27, (5.0, 5.5, 2.5), 32.0, 0.9), Row(15, (2.2, 2.0, 1.0), -35.0, 0.0))
ROOT_MM, CLEAR_MM = 0.3, 0.3
"""Half the width of a lash at its root, as of hairs that stick together, and how far that stands off the lid."""
SPLAY = 0.8
"""How far the lashes at the corners lean towards them, as a share of their length."""
_ENDS = 0.06  # share of a lid at either corner that has none
_STEPS = (0.0, 0.5, 1.0)  # of a lash, where it has vertices
_WIDTHS = (1.0, 0.6, 0.1)
_RIM_COLUMNS = 17


@dataclass(frozen=True, eq=False)
class Lashes:
    """The lashes of a head's four lids."""

    head: HeadModel
    lids: tuple[_Lid, ...]

    @classmethod
    def of(cls, head: HeadModel) -> Lashes | None:
        """None where the head does not know where its lids are."""
        points = head.landmarks.get("mediapipe478")
        if points is None or len(points) != POINTS:
            return None
        lids = [
            _Lid.of(row, side, SurfacePoints(points.triangle[list(lid)], points.barycentric[list(lid)]))
            for row, pair in zip(ROWS, (_UPPER, _LOWER), strict=True)
            for side, lid in enumerate(pair)
        ]
        return cls(head, tuple(lids))

    @property
    def quads(self) -> NDArray[np.int32]:
        """(M,4) among the vertices of all lids, counter-clockwise seen from outside."""
        starts = np.cumsum([0, *(len(lid.share) for lid in self.lids[:-1])])
        return np.concatenate([lid.quads + start for lid, start in zip(self.lids, starts, strict=True)]).astype(
            np.int32
        )

    def on(self, vertices: NDArray[np.floating[Any]]) -> F64:
        """Where they are (N,3) on vertices (V,3), metres, wherever the head is."""
        eyes, scale = eyes_and_scale(self.head, vertices)
        return np.concatenate(
            [lid.placed(at_points(self.head, lid.edge, vertices), eyes[lid.side], scale) for lid in self.lids]
        )

    def shared(self, values: NDArray[np.floating[Any]]) -> F64:
        """(N,…) of values (V,…) of the head's vertices."""
        return np.concatenate([lid.share @ at_points(self.head, lid.edge, values) for lid in self.lids])

    def places(self) -> F64:
        """The vertices' places (N,2) in the atlas."""
        return np.concatenate([lid.share @ atlas_places(self.head, lid.edge) for lid in self.lids])


def lash_hair(head: HeadModel, neutral: NDArray[np.float32]) -> Hair | None:
    """The lashes of a person whose neutral is (V,3); None where the head does not know where its lids are."""
    lashes = Lashes.of(head)
    if lashes is None:
        return None
    placed = lashes.on(neutral)
    return Hair(
        PART,
        placed.astype(np.float32),
        np.stack([lashes.on(neutral + delta) - placed for delta in head.expression_basis]).astype(np.float32),
        lashes.shared(head.skinning_weights).astype(np.float32),
        lashes.places().astype(np.float32),
        lashes.quads,
        np.ones(len(placed), np.float32),
    )


@dataclass(frozen=True, eq=False)
class _Lid:
    """One lid's lashes along a curve through the P points of its edge, S places on it."""

    row: Row
    side: int  # 0 the left eye's, 1 the right eye's
    edge: SurfacePoints  # (P)
    along: F64  # (S,) 0 at the outer corner, 1 at the inner one: each lash's, then each column's of the rim
    curve: F64  # (S,P) weights of the edge's points in each place
    slope: F64  # (S,P) in its derivative
    share: F64  # (N,P) linear weights of the edge's points in each vertex

    @classmethod
    def of(cls, row: Row, side: int, edge: SurfacePoints) -> _Lid:
        along = np.linspace(_ENDS, 1 - _ENDS, row.count)
        if row.rim:
            along = np.append(along, np.linspace(0, 1, _RIM_COLUMNS))
        knots = np.linspace(0, 1, len(edge))
        curve = CubicSpline(knots, np.eye(len(knots)))
        near = np.array([np.interp(along, knots, unit) for unit in np.eye(len(knots))]).T
        share = np.concatenate(
            [np.repeat(near[: row.count], 2 * len(_STEPS), axis=0), np.repeat(near[row.count :], 2, axis=0)]
        )
        return cls(row, side, edge, along, curve(along), curve(along, 1), share)

    @property
    def quads(self) -> NDArray[np.int32]:
        quads = _quads(self.row)
        return quads[:, ::-1] if self.side == 1 else quads

    def placed(self, edge: F64, eye: F64, scale: float) -> F64:
        """The vertices (N,3) where the edge's points are at (P,3) and the eyeball's centre is ``eye (3,)``.

        Each lash's pairs from root to tip, then the rim's lower and upper one in each column. ``scale`` is metres per
        mm of a mean face.
        """
        root = self.curve @ edge
        sideways = _unit(self.slope @ edge)
        outwards = _unit(root - eye)
        # the edge runs inwards on both sides, so that up is on different sides of it
        up = _unit(np.cross(outwards, sideways)) * (1 if self.side == 1 else -1)
        root = root + CLEAR_MM * scale * outwards
        lashes = slice(0, self.row.count)
        length = np.interp(self.along[lashes], (0, 1 / 3, 1), self.row.lengths)[:, None] * scale
        lean = SPLAY * (self.along[lashes, None] - 0.5) * sideways[lashes]
        at, pairs = root[lashes], []
        for step, width in zip(_STEPS, _WIDTHS, strict=True):
            if step:
                turn = np.radians(self.row.turn) * (0.4 + step)  # they curl: the tip turns more than the root
                heading = _unit(np.cos(turn) * outwards[lashes] + np.sin(turn) * up[lashes] + lean)
                at = at + length / (len(_STEPS) - 1) * heading
            half = width * ROOT_MM * scale * sideways[lashes]
            pairs += [at - half, at + half]
        rim = slice(self.row.count, None)
        taper = np.sin(np.pi * np.clip(self.along[rim, None], 0.05, 0.95)) ** 0.5
        band = [root[rim] + share * self.row.rim * scale * taper * up[rim] for share in (-0.25, 0.75)]
        return np.concatenate([np.stack(pairs, axis=1).reshape(-1, 3), np.stack(band, axis=1).reshape(-1, 3)])


def _quads(row: Row) -> NDArray[np.int32]:
    per_lash = 2 * len(_STEPS)
    pairs = [per_lash * n + 2 * step for n in range(row.count) for step in range(len(_STEPS) - 1)]
    columns = _RIM_COLUMNS - 1 if row.rim else 0
    pairs += [per_lash * row.count + 2 * column for column in range(columns)]
    first = np.array(pairs)
    quads = np.stack([first, first + 2, first + 3, first + 1], axis=1)
    return quads.astype(np.int32)


def _unit(vectors: F64) -> F64:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
