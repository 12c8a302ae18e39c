"""Lids and lips that meet on the target where they meet on the open head.

The open head's rims of eyes and mouth are known ring by ring, and so is where the registration lays them on the target.
A transferred blink that leaves the lids open is lengthened until they meet, column by column of the eye, and what lips
a closed mouth leaves apart are brought together.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.eyeball import Eyeball
from backend.head_model.lid_clearance import CLOSINGS, PERSONAL_STATES, actions_on_lids, lids_of, pushed_out
from backend.head_model.lid_closing import LidRims, closing_blink, lid_rims
from backend.head_model.model import HeadModel
from backend.head_model.registration.face_points import sphere_centre
from backend.head_model.render import vertex_normals
from backend.head_model.rims import places, walk_rim
from backend.head_model.surface import MeshSurface
from backend.transfer.deform import DeformationSystem
from backend.transfer.types import F64, Triangles

SIDES = (("Left", "left_eyeball"), ("Right", "right_eyeball"))
NEAR = 0.004
"""Metres from the open head's rim, as bent, within which skin of the target is taken for the same rim."""
LIP_COLUMNS = np.linspace(0.08, 0.92, 15)
"""Shares of the way between the mouth's corners at which lips are held together; at the corners they always are."""
LIP_RINGS = (-1, 0, 1)


@dataclass(frozen=True, eq=False)
class Skin:
    """The target's skin, vertices (V,3) and triangles (F,3), and the open head ``bent (V0,3)`` onto it."""

    vertices: F64
    triangles: Triangles
    bent: F64
    open_head: HeadModel

    def rows_at(self, places_of: NDArray[np.int64]) -> tuple[sparse.csr_matrix, F64]:
        """Rows (n,V) that give the skin under vertices (n,) of the open head, and how far it is from them, metres."""
        wanted = self.bent[places_of]
        normals = vertex_normals(self.bent, self.open_head.triangles)[places_of]
        foot = MeshSurface(self.vertices, self.triangles).closest_nearby(wanted, normals)
        count = len(places_of)
        rows = sparse.csr_matrix(
            (foot.barycentric.ravel(), (np.arange(count).repeat(3), self.triangles[foot.triangle].ravel())),
            (count, len(self.vertices)),
        )
        return rows, foot.distance


@dataclass(frozen=True, eq=False)
class Lids:
    """One eye's lids on the target: ``rims`` are indices behind the skin's V vertices, of points that ``rows (n,V)``
    give; ``astray`` metres is how far they are from the open head's, in the median.
    """

    rims: LidRims
    rows: sparse.csr_matrix
    eyeball: Eyeball
    astray: float


def lids_on(skin: Skin, part: str, ball: F64 | None) -> Lids | None:
    """The lids before an eyeball ``part`` of vertices ``ball (n,3)``, without one before where it would be.

    None where the target has no lids there.
    """
    rims = lid_rims(skin.open_head, part)
    if rims is None:
        return None
    rings = (*rims.upper, *rims.lower)
    rows, distance = skin.rows_at(np.concatenate(rings))
    astray = float(np.median(distance))
    if astray > NEAR:
        return None
    ends = len(skin.vertices) + np.cumsum([0, *(len(ring) for ring in rings)])
    numbered = tuple(np.arange(a, b) for a, b in itertools.pairwise(ends))
    half = len(rims.upper)
    points = skin.bent[skin.open_head.regions[part]] if ball is None else ball
    centre = sphere_centre(points)
    eyeball = Eyeball(centre, float(np.median(np.linalg.norm(points - centre, axis=1))))
    return Lids(LidRims(numbered[:half], numbered[half:]), rows, eyeball, astray)


def close_lids(skin: Skin, lids: Lids, side: str, deltas: dict[str, F64]) -> None:
    """Lengthen a side's blink until the lids meet, and keep them off the eyeball, in ``deltas (V,3)`` in place."""
    names = [name for name in actions_on_lids() if name + side in deltas]
    everyone = np.ones(len(skin.vertices), bool)
    near = lids_of(lids.eyeball, everyone, skin.vertices)
    neutral = np.concatenate([skin.vertices, lids.rows @ skin.vertices])
    for _ in range(CLOSINGS):
        moves = {name: np.concatenate([deltas[name + side], lids.rows @ deltas[name + side]]) for name in names}
        deltas[f"eyeBlink{side}"] = closing_blink(lids.rims, neutral, moves, lids.eyeball)[: len(skin.vertices)]
        stacked = np.stack([deltas[name + side][near] for name in names])
        pushed = pushed_out(skin.vertices[near], stacked, names, lids.eyeball, PERSONAL_STATES)
        for name, rows in zip(names, pushed, strict=True):
            deltas[name + side][near] = rows


@dataclass(frozen=True, eq=False)
class Lips:
    """The lips' inner rims on the target's skin: rows (n,V) of the upper and of the lower lip by column."""

    upper: sparse.csr_matrix
    lower: sparse.csr_matrix

    def gaps(self, moved: F64) -> F64:
        """How far the upper lip is above the lower one (n,), metres, at vertices (V,3)."""
        return np.asarray(((self.upper - self.lower) @ moved)[:, 1])


def lips_on(skin: Skin) -> Lips | None:
    """The lips; None where the target's mouth cannot open, or it has none."""
    head = skin.open_head
    bag = head.regions["mouth_bag"]
    outer = head.regions["skin"] & ~bag & ~head.regions["eye_sockets"]
    ring = walk_rim(head.triangles, outer, bag, 1).at(0)
    rows, distance = skin.rows_at(ring)
    along = places(head.template[ring].astype(np.float64))
    upper, lower = (_at_columns(along, wanted) for wanted in (LIP_COLUMNS, 2 - LIP_COLUMNS))
    lips = Lips((upper @ rows).tocsr(), (lower @ rows).tocsr())
    sealed = abs(lips.upper - lips.lower).sum(axis=1) < 1.0
    if np.median(distance) > NEAR or np.mean(sealed) > 0.5:
        return None
    return lips


def _at_columns(along: F64, wanted: F64) -> sparse.csr_matrix:
    """Rows (n,R) that interpolate a ring's points at the places ``along (R,)`` to the places ``wanted (n,)``."""
    order = np.argsort(along)
    ring, at = np.append(order, order[0]), np.append(along[order], along[order[0]] + 2)
    right = np.clip(np.searchsorted(at, wanted), 1, len(at) - 1)
    share = np.clip((wanted - at[right - 1]) / np.maximum(at[right] - at[right - 1], 1e-12), 0, 1)
    rows = np.arange(len(wanted))
    return sparse.csr_matrix(
        (np.concatenate([1 - share, share]), (np.tile(rows, 2), np.concatenate([ring[right - 1], ring[right]]))),
        (len(wanted), len(along)),
    )


def close_lips(system: DeformationSystem, lips: Lips, deltas: dict[str, F64]) -> None:
    """Make mouthClose undo what jawOpen takes the lips apart, in ``deltas (V,3)`` in place."""
    apart = (lips.upper - lips.lower).tocsr()
    deltas["mouthClose"] = system.corrected(deltas["mouthClose"], apart, -(apart @ deltas["jawOpen"]))
