"""Tells a source head's parts apart: outer skin, cavities, eyeballs, and what is hidden in the mouth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from backend.head_model.model import JOINT_NAMES, BoolArray, HeadModel, IntArray
from backend.head_model.registration.face_points import BareHead, sphere_centre
from backend.head_model.registration.types import SourceHead

F64 = NDArray[np.float64]

CAVITIES = ("mouth_bag", "eye_sockets")
EYEBALLS = ("left_eyeball", "right_eyeball")
HIDDEN = ("teeth", "tongue", "lashes")
KINDS = ("outer", *CAVITIES, *EYEBALLS, *HIDDEN)
"""The kinds of a vertex; ``other`` besides these is anything loose that no region names."""

_RADIUS = (0.008, 0.018)  # metres; adult eyeballs have 12 mm
_ROUND = 0.12  # largest deviation of the radius, as a share; the cornea bulges


@dataclass(frozen=True, eq=False)
class Parts:
    """Masks (V,) of each of ``KINDS`` and ``other``; every vertex is in exactly one."""

    masks: dict[str, BoolArray]

    def __getitem__(self, kind: str) -> BoolArray:
        return self.masks[kind]

    @property
    def eyes(self) -> tuple[BoolArray, ...]:
        """The eyeballs there are, the subject's left one first."""
        return tuple(self.masks[name] for name in EYEBALLS if self.masks[name].any())

    def regions(self) -> dict[str, BoolArray]:
        """The parts as ``HeadModel.regions`` names them: skin includes the cavities."""
        skin = self.masks["outer"] | self.masks["mouth_bag"] | self.masks["eye_sockets"]
        return {"skin": skin} | {name: self.masks[name] for name in (*HIDDEN, *EYEBALLS, *CAVITIES)}

    def bare(self, vertices: NDArray[np.floating[Any]], triangles: IntArray) -> BareHead:
        """The mesh that the face finder draws."""
        return BareHead(np.asarray(vertices, np.float64), triangles, self.inside("outer", triangles), self.eyes)

    def inside(self, kind: str, triangles: IntArray) -> BoolArray:
        """(F,) triangles that lie in a part as a whole."""
        return np.asarray(self.masks[kind][triangles].all(axis=1))


def parts_of_open_head(head: HeadModel) -> Parts:
    """The parts of a head that has them all as regions."""
    regions = head.regions
    masks = {kind: regions[kind].copy() for kind in KINDS if kind != "outer"}
    masks["outer"] = regions["skin"] & ~regions["mouth_bag"] & ~regions["eye_sockets"]
    masks["other"] = ~np.any(list(masks.values()), axis=0)
    return Parts(masks)


def parts_of(source: SourceHead) -> Parts:
    """A source's parts: its own regions, its eye joints' vertices, else round pieces and the largest piece."""
    count = len(source.template)
    none = np.zeros(count, bool)
    masks = {kind: source.regions.get(kind, none).copy() for kind in KINDS if kind != "outer"}
    pieces = pieces_of(source.triangles, count)
    for name, joint in zip(EYEBALLS, ("left_eye", "right_eye"), strict=True):
        if not masks[name].any() and source.skinning_weights is not None:
            masks[name] = source.skinning_weights[:, JOINT_NAMES.index(joint)] > 0.999
    if not masks["left_eyeball"].any() and not masks["right_eyeball"].any():
        masks |= dict(zip(EYEBALLS, _round_pieces(source, pieces, np.any(list(masks.values()), axis=0)), strict=True))
    named = np.any(list(masks.values()), axis=0)
    skin = source.regions.get("skin")
    if skin is None:
        skin = ~named & (pieces == _largest_piece(source, pieces, ~named))
    masks["outer"] = skin & ~named
    masks["other"] = ~(named | masks["outer"])
    return Parts(_disjoint(masks))


def _disjoint(masks: dict[str, BoolArray]) -> dict[str, BoolArray]:
    taken = np.zeros(len(masks["outer"]), bool)
    out = {}
    for name, mask in masks.items():
        out[name] = mask & ~taken
        taken |= mask
    return out


def pieces_of(triangles: IntArray, count: int) -> NDArray[np.int32]:
    """The number of the connected piece each of ``count`` vertices belongs to."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]]])
    links = sparse.coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int32)


def _largest_piece(source: SourceHead, pieces: NDArray[np.int32], allowed: BoolArray) -> int:
    corners = np.asarray(source.template, np.float64)[source.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    owner = pieces[source.triangles[:, 0]]
    total = np.bincount(owner, weights=area * allowed[source.triangles[:, 0]], minlength=pieces.max() + 1)
    return int(total.argmax())


def _round_pieces(source: SourceHead, pieces: NDArray[np.int32], taken: BoolArray) -> tuple[BoolArray, BoolArray]:
    """The largest sphere-like loose piece on each side, if both sides have one."""
    template = np.asarray(source.template, np.float64)
    found: dict[bool, tuple[int, BoolArray]] = {}
    for piece in np.unique(pieces[~taken]):
        mask = pieces == piece
        if not 30 <= mask.sum() < len(mask) / 4:
            continue
        points = template[mask]
        centre = sphere_centre(points)
        radius = np.linalg.norm(points - centre, axis=1)
        mean = radius.mean()
        if _RADIUS[0] < mean < _RADIUS[1] and np.abs(radius / mean - 1).max() < _ROUND and abs(centre[0]) > mean:
            side = bool(centre[0] > 0)
            if side not in found or mask.sum() > found[side][0]:
                found[side] = (int(mask.sum()), mask)
    none = np.zeros(len(template), bool)
    if len(found) < 2:
        return none, none
    return found[True][1], found[False][1]
