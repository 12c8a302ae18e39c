"""Lids and lips that meet on the target where they meet on the open head.

The open head's rims of eyes and mouth are known ring by ring, and so is where the registration carries them to in each
action. The same map carries both lids, both lips and the eyeballs, so what touches there touches here: the target's
skin under the rims is made to go along with them, exactly, and the rest of it as smoothly as the transfer allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.eyeball import REACH, Eyeball
from backend.head_model.lid_clearance import PERSONAL_STATES, actions_on_lids, pushed_out
from backend.head_model.model import HeadModel
from backend.head_model.registration.face_points import sphere_centre
from backend.head_model.render import vertex_normals
from backend.head_model.rims import walk_rim
from backend.head_model.surface import MeshSurface
from backend.transfer.types import F64, Mask, Triangles

NEAR = 0.004
"""Metres from the open head's rim, as bent, within which skin of the target is taken for the same rim."""
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")


@dataclass(frozen=True, eq=False)
class Rims:
    """Vertices (n,) of the open head on its rims, and which of ``EDGES`` each lies on (n,)."""

    vertices: NDArray[np.int64]
    edge: NDArray[np.int64]


EDGES = ("left lids", "right lids", "lips")


def rims_of(head: HeadModel) -> Rims:
    """The rings at the border of outer skin and cavity around each eye and the mouth.

    Raises ValueError where the head has none.
    """
    regions = head.regions
    sockets, bag = regions["eye_sockets"], regions["mouth_bag"]
    outer = regions["skin"] & ~sockets & ~bag
    left = head.template[:, 0] > 0
    cavities = (sockets & left, sockets & ~left, bag)
    rings = [walk_rim(head.triangles, outer, cavity, 1) for cavity in cavities]
    sides = [np.concatenate([rim.outward[0], *rim.inward[:1]]) for rim in rings]
    return Rims(np.concatenate(sides), np.repeat(np.arange(len(EDGES)), [len(side) for side in sides]))


@dataclass(frozen=True, eq=False)
class Contact:
    """Points of the target's skin under the rims: ``rows (n,V)`` of its vertices and ``astray (n,3)`` metres, from them
    to where the bent open head has its rim. ``rims`` are those n that the target has.
    """

    rims: Rims
    rows: sparse.csr_matrix
    astray: F64


def contact_of(vertices: F64, triangles: Triangles, bent: F64, open_head: HeadModel) -> Contact:
    """The contact of a target's skin, vertices (V,3) and triangles (F,3), with the rims of ``bent (V0,3)``."""
    rims = rims_of(open_head)
    wanted = bent[rims.vertices]
    normals = vertex_normals(bent, open_head.triangles)[rims.vertices]
    foot = MeshSurface(vertices, triangles).closest_nearby(wanted, normals)
    near = np.flatnonzero(foot.distance < NEAR)
    rows = sparse.csr_matrix(
        (foot.barycentric[near].ravel(), (np.arange(len(near)).repeat(3), triangles[foot.triangle[near]].ravel())),
        (len(near), len(vertices)),
    )
    return Contact(Rims(rims.vertices[near], rims.edge[near]), rows, (wanted - foot.position)[near])


def wanted_of(contact: Contact, name: str, moved: Mapping[str, F64]) -> F64:
    """Offsets (n,3) of the contact's points in an action, from those ``moved (V0,3)`` of the open head as bent."""
    wanted = moved[name][contact.rims.vertices].copy()
    if name in BLINKS:  # a gap is a gap, however small the error of the registration that it comes from
        closing = contact.rims.edge == BLINKS.index(name)
        wanted[closing] += contact.astray[closing]
    return wanted


def clear_of_eyes(
    vertices: F64, skin: Mask, eyeballs: Sequence[Mask], deltas: dict[str, F64]
) -> None:
    """Push lids that sink into an eyeball out of it, in the actions ``deltas (V,3)`` in place; left eyeball first."""
    for mask, side in zip(eyeballs, ("Left", "Right"), strict=True):
        points = vertices[mask]
        centre = sphere_centre(points)
        eyeball = Eyeball(centre, float(np.median(np.linalg.norm(points - centre, axis=1))))
        lids = np.flatnonzero(skin & (eyeball.height(vertices) < REACH) & (vertices[:, 2] > centre[2]))
        names = [name for name in actions_on_lids() if name + side in deltas]
        moves = np.stack([deltas[name + side][lids] for name in names])
        pushed = pushed_out(vertices[lids], moves, names, eyeball, PERSONAL_STATES)
        for name, rows in zip(names, pushed, strict=True):
            deltas[name + side][lids] = rows
