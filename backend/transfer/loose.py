"""What is no skin: teeth, tongue, brows, glasses and hair of the target, which move with what they are on, or stay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.head_model.appearance import Palette
from backend.head_model.model import BoolArray, HeadModel
from backend.head_model.registration.parts import parts_of_open_head, pieces_of
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import similarity_between
from backend.head_model.surface import ClosestPoints, MeshSurface
from backend.transfer.types import F64, Mask, Triangles

IN_MOUTH = 0.070  # metres from between the lips within which pieces behind the skin are in the mouth
ON_SKIN = 0.006
"""Metres from the skin within which nine in ten of a piece's vertices lie where it clings to it, as brows do."""
FADE = 0.020  # metres from the skin over which the skin's motion dies out for what does not cling
_SHADE = 0.8  # of sRGB: there is less light in a mouth
_TOOTH = 0.030  # metres: what is smaller is a tooth, not a tongue
_ROW_SHARE = (0.25, 0.75)
"""Shares of a piece that is nearer to the lower teeth: between them it is both rows in one, and taken apart."""


@dataclass(frozen=True, eq=False)
class _Moving:
    """Vertices (n,) of a loose piece, feet on a surface that moves, and how it follows: stiffly, and how far (n,)."""

    vertices: NDArray[np.intp]
    foot: ClosestPoints
    stiff: bool
    share: F64
    on_skin: bool
    color: tuple[float, float, float] | None = None  # sRGB on the sheet, None as the skin under it


class LoosePieces:
    """All pieces of a target besides skin and eyeballs; those that nothing moves stay.

    ``vertices (V,3)``, ``skin (V,)`` and ``left_over (V,)``, the vertices of pieces that may move, in head space.
    ``bent (V0,3)`` is the open head laid on it.
    """

    def __init__(
        self,
        vertices: F64,
        triangles: Triangles,
        skin: BoolArray,
        left_over: BoolArray,
        bent: F64,
        open_head: HeadModel,
    ) -> None:
        self._vertices, self._triangles, self._open = vertices, triangles, open_head
        self._moving: list[_Moving] = []
        if not left_over.any():
            return
        surface = MeshSurface(vertices, triangles, skin[triangles].all(axis=1))
        normals = vertex_normals(vertices, triangles)
        pieces = pieces_of(triangles, len(vertices))
        lips = bent[open_head.regions["lips"]].mean(axis=0)
        mouth = _Mouth(bent, open_head)
        # the open head's, as of the target nobody knows what is inside its mouth
        own = parts_of_open_head(open_head).inside("outer", open_head.triangles)
        outside = bent[open_head.triangles[own]]
        index = np.flatnonzero(left_over)
        order = index[np.argsort(pieces[index], kind="stable")]
        for members in np.split(order, np.flatnonzero(np.diff(pieces[order])) + 1):
            points = vertices[members]
            near = np.linalg.norm(points.mean(axis=0) - lips) < IN_MOUTH
            if near and np.mean(_turns_around(points[:: len(points) // 10 + 1], outside) > 0.5) > 0.5:
                self._moving += mouth.moving(members, points, normals[members])
                continue
            foot = surface.closest(points)
            clings = float(np.percentile(foot.distance, 90)) < ON_SKIN
            share = np.ones(len(members)) if clings else np.clip(1 - foot.distance / FADE, 0, 1)
            if share.any():
                self._moving.append(_Moving(members, foot, not clings, share, True))

    def follow(self, deltas: F64, moved: F64) -> None:
        """Move the pieces in an action's ``deltas (V,3)``, in place, whose skin is done.

        ``moved (V0,3)`` are the offsets of the bent open head.
        """
        for piece in self._moving:
            source, triangles = (deltas, self._triangles) if piece.on_skin else (moved, self._open.triangles)
            offsets = piece.foot.of(source, triangles) * piece.share[:, None]
            if piece.stiff and np.abs(offsets).max(initial=0) > 0:
                rest = self._vertices[piece.vertices]
                offsets = similarity_between(rest, rest + offsets, scaled=False).apply(rest) - rest
            deltas[piece.vertices] = offsets

    def paint(self, colors: NDArray[np.float32]) -> None:
        """Give what is in the mouth its own colours (V,3), in place."""
        for piece in self._moving:
            if piece.color is not None:
                colors[piece.vertices] = np.array(piece.color) * _SHADE


class _Mouth:
    """The open head's teeth and tongue as bent onto a target, which tell what of it is which."""

    def __init__(self, bent: F64, open_head: HeadModel) -> None:
        triangles = open_head.triangles
        teeth = open_head.regions["teeth"]
        below = bent[:, 1] < np.median(bent[teeth, 1])
        lower = _mostly(teeth & below, pieces_of(triangles, len(bent))) & teeth
        kinds: Mapping[str, Mask] = {"upper": teeth & ~lower, "lower": lower, "tongue": open_head.regions["tongue"]}
        self._points = {kind: bent[mask] for kind, mask in kinds.items()}
        self._surfaces = {
            kind: MeshSurface(bent, triangles, mask[triangles].all(axis=1))
            for kind, mask in kinds.items()
            if mask.any()
        }

    def moving(self, members: NDArray[np.intp], points: F64, normals: F64) -> list[_Moving]:
        """A piece of the mouth, in two where it holds both rows of teeth."""
        feet = {kind: surface.closest(points) for kind, surface in self._surfaces.items()}
        tree = cKDTree(points)
        apart = {
            kind: float(np.mean(feet[kind].distance) + np.mean(tree.query(self._points[kind])[0])) for kind in feet
        }
        long = np.ptp(points, axis=0).max() > _TOOTH
        if "tongue" in apart and long and min(apart, key=lambda kind: apart[kind]) == "tongue":
            foot = self._surfaces["tongue"].closest_nearby(points, normals)
            return [_Moving(members, foot, False, np.ones(len(members)), False, Palette().tongue)]
        below = feet["lower"].distance < feet["upper"].distance
        share = below.mean()
        both = _ROW_SHARE[0] < share < _ROW_SHARE[1]
        if not both:
            below[:] = share > 0.5
        color = Palette().tongue if both else Palette().teeth  # both rows hang together by their gums
        return [
            _Moving(members[mask], _some(feet[name], mask), True, np.ones(int(mask.sum())), False, color)
            for name, mask in (("lower", below), ("upper", ~below))
            if mask.any()
        ]


def _turns_around(points: F64, corners: F64) -> F64:
    """How often triangles (F,3,3) enclose points (n,): 1 inside of a closed surface, 0 outside, between at its holes.

    Van Oosterom and Strackee 1983, "The solid angle of a plane triangle", eq. 8.
    """
    turns = []
    for point in points:
        a, b, c = np.moveaxis(corners - point, 1, 0)
        la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
        volume = np.einsum("fc,fc->f", a, np.cross(b, c))
        flat = la * lb * lc + (a * b).sum(1) * lc + (b * c).sum(1) * la + (c * a).sum(1) * lb
        turns.append(np.arctan2(volume, flat).sum() / (2 * np.pi))
    return np.array(turns)


def _some(foot: ClosestPoints, mask: Mask) -> ClosestPoints:
    return ClosestPoints(foot.triangle[mask], foot.barycentric[mask], foot.position[mask], foot.distance[mask])


def _mostly(mask: Mask, pieces: NDArray[np.int32]) -> Mask:
    """The pieces (V,) more than half of whose vertices are in the mask."""
    return np.asarray((np.bincount(pieces, weights=mask) > 0.5 * np.bincount(pieces))[pieces])
