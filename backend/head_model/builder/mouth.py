"""The inside of the mouth as it is in people: where teeth and tongue lie, and what moves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from backend.head_model.builder.actions import symmetric
from backend.head_model.builder.mesh import HeadMesh
from backend.head_model.builder.regions import adjacency

F64 = NDArray[np.float64]

TONGUE_DROP, TONGUE_TILT, TONGUE_BACK = 0.0055, 0.14, 0.002
"""Where MakeHuman's tongue, which lies against the palate, is put to rest: metres down at its tip, further down by so
much for each metre behind it, and metres back. It then lies 2 to 3 mm below the lower teeth's edge along the whole row,
and an opening jaw shows the throat above it."""
TONGUE_FURTHER, TONGUE_HANGS = 0.014, 0.010
"""Metres that tongueOut brings the tip further forwards and down than MakeHuman's, which just leaves the lips: it hangs
over the lower lip, 20 mm past it, well within what people can. Forwards with the square of the way from the root, down
with its sixth power, so that it bends beyond lower teeth and lip and lies on them."""
ARCH_WIDTH = 0.86
"""MakeHuman's rows of teeth are 40 mm wide where the canines are, 8 mm behind the incisors; human canines are 34 to 35
mm apart (Bishara et al. 1997, "Arch width changes from 6 weeks to 45 years of age")."""
CROWN = 0.6
"""They are 18 mm high; an incisor's crown is 9 to 11 mm."""
EDGE = (-0.0690, -0.12)
"""Height of the teeth's edges (y, metres, where z is 0), and its change for each metre forwards."""
TEETH_FORWARD = 0.002  # metres; 5 mm behind the lips they would lie in the dark
OVERBITE = (0.0, -0.002, 0.0015)
"""Metres by which the upper row is moved against the lower one, which it meets edge to edge: human upper incisors
overlap the lower ones by 2 to 3 mm, and so much of them shows below a resting upper lip (Vig and Brundo 1978, "The
kinetics of anterior tooth display")."""


def anatomical(
    template: F64, basis: F64, names: tuple[str, ...], mesh: HeadMesh, jaw: Mapping[str, F64]
) -> tuple[F64, F64]:
    """A head (V,3) with tongue and teeth where they are in people, and the expression basis (E,V,3) of it.

    Upper teeth belong to the skull and stay; lower teeth and tongue go with the lower jaw as one body, whose motions
    (4,3) are given by action; tongueOut starts from where the tongue rests.
    """
    tongue = mesh.parts["tongue"]
    upper = upper_teeth(mesh.triangles, mesh.parts["teeth"], template)
    lower = mesh.parts["teeth"] & ~upper
    rested = template.copy()
    rested[tongue] = _tongue_at_rest(template[tongue])
    rested[upper] = _row(template[upper]) + OVERBITE
    rested[lower] = _row(template[lower])
    changed = basis.copy()
    changed[:, mesh.parts["teeth"]] = 0
    carried = tongue | lower
    for name, motion in jaw.items():
        changed[names.index(name), carried] = np.column_stack([rested[carried], np.ones(carried.sum())]) @ motion
    along = (template[tongue, 2] - template[tongue, 2].min()) / np.ptp(template[tongue, 2])
    further = np.column_stack([0 * along, -TONGUE_HANGS * along**6, TONGUE_FURTHER * along**2])
    changed[names.index("tongueOut"), tongue] += template[tongue] + further - rested[tongue]
    return rested, symmetric(changed, names, mesh.mirror)


def _tongue_at_rest(points: F64) -> F64:
    behind = points[:, 2].max() - points[:, 2]
    down = TONGUE_DROP + TONGUE_TILT * behind
    return np.column_stack([ARCH_WIDTH * points[:, 0], points[:, 1] - down, points[:, 2] - TONGUE_BACK])


def _row(points: F64) -> F64:
    edge = EDGE[0] + EDGE[1] * points[:, 2]
    height = edge + CROWN * (points[:, 1] - edge)
    return np.column_stack([ARCH_WIDTH * points[:, 0], height, points[:, 2] + TEETH_FORWARD])


def upper_teeth(
    triangles: NDArray[np.int32], teeth: NDArray[np.bool_], template: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """The vertices (V,) of the upper of the two rows of ``teeth (V,)`` of a head (V,3)."""
    links = adjacency(triangles, len(template))
    _, piece = connected_components(links, directed=False)
    heights = {int(n): float(template[piece == n, 1].mean()) for n in np.unique(piece[teeth])}
    return np.asarray(piece == max(heights, key=lambda n: heights[n]))
