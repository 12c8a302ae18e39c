"""Eyelashes as geometry for a scene: a dark rim along each upper lid and single lashes that point away from the eye.

Roots follow the lids' landmarks. A lash's direction follows from where its root is about the eyeball, so lashes of
closed lids point downwards. Heads' own strips, made for a transparent picture, hide under the lids when drawn solid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from backend.export.hair import Hair, at_points, atlas_places
from backend.head_model.appearance import EYE_DISTANCE_MM
from backend.head_model.model import JOINT_NAMES, HeadModel, SurfacePoints

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


def lash_hair(head: HeadModel, neutral: NDArray[np.float32]) -> Hair | None:
    """The lashes of a person whose neutral is (V,3); None where the head does not know where its lids are."""
    points = head.landmarks.get("mediapipe478")
    if points is None or len(points) != POINTS:
        return None
    eyes = head.joints(neutral)[[JOINT_NAMES.index(name) for name in ("left_eye", "right_eye")]].astype(np.float64)
    scale = float(np.linalg.norm(eyes[0] - eyes[1])) / EYE_DISTANCE_MM
    pieces = []
    for lids, row in zip((_UPPER, _LOWER), ROWS, strict=True):
        for side, eye in enumerate(eyes):
            lid = np.array(lids[side])
            edge = SurfacePoints(points.triangle[lid], points.barycentric[lid])
            pieces.append(_lid(head, neutral, edge, _Lashes.of(row, eye, scale), mirrored=side == 1))
    starts = np.cumsum([0, *(len(piece.neutral) for piece in pieces[:-1])])
    return Hair(
        PART,
        np.concatenate([piece.neutral for piece in pieces]),
        np.concatenate([piece.deltas for piece in pieces], axis=1),
        np.concatenate([piece.weights for piece in pieces]),
        np.concatenate([piece.places for piece in pieces]),
        np.concatenate([piece.quads + start for piece, start in zip(pieces, starts, strict=True)]),
    )


def _lid(
    head: HeadModel, neutral: NDArray[np.float32], edge: SurfacePoints, lashes: _Lashes, *, mirrored: bool
) -> Hair:
    roots = at_points(head, edge, neutral)
    placed = lashes.placed(roots)
    moved = [lashes.placed(roots + at_points(head, edge, delta)) - placed for delta in head.expression_basis]
    quads = _quads(lashes.row)
    return Hair(
        PART,
        placed.astype(np.float32),
        np.stack(moved).astype(np.float32),
        (lashes.share @ at_points(head, edge, head.skinning_weights)).astype(np.float32),
        (lashes.share @ atlas_places(head, edge)).astype(np.float32),
        quads[:, ::-1] if mirrored else quads,
    )


@dataclass(frozen=True, eq=False)
class _Lashes:
    """One lid's lashes along a curve through the P points of its edge, S places on it."""

    row: Row
    eye: F64  # (3,) m, the eyeball's centre
    scale: float  # m per mm of a mean face
    along: F64  # (S,) 0 at the outer corner, 1 at the inner one: each lash's, then each column's of the rim
    curve: F64  # (S,P) weights of the edge's points in each place
    slope: F64  # (S,P) in its derivative
    share: F64  # (N,P) linear weights of the edge's points in each vertex

    @classmethod
    def of(cls, row: Row, eye: F64, scale: float) -> _Lashes:
        along = np.linspace(_ENDS, 1 - _ENDS, row.count)
        if row.rim:
            along = np.append(along, np.linspace(0, 1, _RIM_COLUMNS))
        knots = np.linspace(0, 1, len(_UPPER[0]))
        curve = CubicSpline(knots, np.eye(len(knots)))
        near = np.array([np.interp(along, knots, unit) for unit in np.eye(len(knots))]).T
        share = np.concatenate(
            [np.repeat(near[: row.count], 2 * len(_STEPS), axis=0), np.repeat(near[row.count :], 2, axis=0)]
        )
        return cls(row, eye, scale, along, curve(along), curve(along, 1), share)

    def placed(self, edge: F64) -> F64:
        """The vertices (N,3) where the edge's points are at (P,3): each lash's pairs from root to tip, then the rim's
        lower and upper one in each column."""
        root = self.curve @ edge
        sideways = _unit(self.slope @ edge)
        outwards = _unit(root - self.eye)
        up = _unit(np.cross(outwards, sideways))
        up *= np.sign(up[:, 1].sum())
        root = root + CLEAR_MM * self.scale * outwards
        lashes = slice(0, self.row.count)
        length = np.interp(self.along[lashes], (0, 1 / 3, 1), self.row.lengths)[:, None] * self.scale
        lean = SPLAY * (self.along[lashes, None] - 0.5) * sideways[lashes]
        at, pairs = root[lashes], []
        for step, width in zip(_STEPS, _WIDTHS, strict=True):
            if step:
                turn = np.radians(self.row.turn) * (0.4 + step)  # they curl: the tip turns more than the root
                heading = _unit(np.cos(turn) * outwards[lashes] + np.sin(turn) * up[lashes] + lean)
                at = at + length / (len(_STEPS) - 1) * heading
            half = width * ROOT_MM * self.scale * sideways[lashes]
            pairs += [at - half, at + half]
        rim = slice(self.row.count, None)
        taper = np.sin(np.pi * np.clip(self.along[rim, None], 0.05, 0.95)) ** 0.5
        band = [root[rim] + share * self.row.rim * self.scale * taper * up[rim] for share in (-0.25, 0.75)]
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
