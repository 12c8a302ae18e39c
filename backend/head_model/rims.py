"""The rims of mouth and eyes, ring by ring: where lips and lids touch, a nearest point may lie on the wrong one.

Both meshes run in closed rings about a rim. The rings are walked from the border between the outer skin and the cavity
behind it, and matched by their place between the two corners.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.model import BoolArray, IntArray

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]
Numbers = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Rim:
    """Closed rings (n,) of vertices around an opening, each in order along the ring.

    ``outward[0]`` is the outer skin's first ring, ``inward[0]`` the cavity's.
    """

    outward: tuple[Ints, ...]
    inward: tuple[Ints, ...]

    def at(self, number: int) -> Ints:
        """Ring ``number``: from 0 outwards, from −1 inwards."""
        return self.outward[number] if number >= 0 else self.inward[-1 - number]


def walk_rim(triangles: IntArray, outer: BoolArray, cavity: BoolArray, depth: int) -> Rim:
    """The rim between the ``outer (V,)`` skin and one ``cavity (V,)``, up to ``depth`` rings each way.

    It ends where what follows is no closed ring any more. Raises ``ValueError`` where not even the first one is.
    """
    links = _links(triangles, len(outer))
    sides = []
    for own, other in ((outer, cavity), (cavity, outer)):
        rings: list[Ints] = []
        current = own & (links @ other.astype(np.int32) > 0)
        seen = current.copy()
        while len(rings) < depth:
            ring = _cycle(links, np.flatnonzero(current))
            if ring is None:
                break
            rings.append(ring)
            current = own & ~seen & (links @ current.astype(np.int32) > 0)
            seen |= current
        sides.append(tuple(rings))
    if not sides[0]:
        raise ValueError("the border between skin and cavity is no closed ring")
    return Rim(*sides)


def match_ring(ring: Ints, points: F64, numbers: Numbers, rim: Rim, rim_points: F64) -> sparse.csr_matrix:
    """Rows (n,V) that give the places of a ring's vertices among the vertices ``rim_points (V,3)`` of another mesh.

    ``numbers`` are those of the rings of ``rim`` that the ring lies on at the middle above, at the corners and at the
    middle below; a broken number lies between two. Along a ring, a place is found by its share of the way from the
    corner towards −x to the one towards +x.
    """
    along = places(points[ring])
    number = np.interp(along, (0.0, 0.5, 1.0, 1.5, 2.0), [numbers[k] for k in (1, 0, 1, 2, 1)])
    rows = sparse.lil_matrix((len(ring), len(rim_points)))
    for lower in np.unique(np.floor(number)).astype(int):
        on = np.flatnonzero(np.floor(number) == lower)
        share = sparse.diags(number[on] - lower)
        first = _at_places(rim.at(lower), rim_points, along[on])
        rows[on] = first - share @ first + share @ _at_places(rim.at(lower + 1), rim_points, along[on])
    return rows.tocsr()


def places(points: F64) -> F64:
    """A ring's points (n,3) as numbers (n,): 0 at the −x corner, 0…1 above, 1 at the +x corner, 1…2 back below."""
    low, high = int(points[:, 0].argmin()), int(points[:, 0].argmax())
    count = len(points)
    forth = np.arange(low, low + (high - low) % count + 1) % count
    back = np.arange(high, high + (low - high) % count + 1) % count
    if points[forth, 1].mean() < points[back, 1].mean():
        forth, back = back[::-1], forth[::-1]
    shares = np.empty(count)
    shares[back] = 1 + _share(points[back])
    shares[forth] = _share(points[forth])
    return shares


def _share(points: F64) -> F64:
    length = np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    return np.asarray(length / length[-1])


def _at_places(ring: Ints, points: F64, wanted: F64) -> sparse.csr_matrix:
    own = places(points[ring])
    order = np.argsort(own)
    own, ring = np.append(own[order], 2.0), np.append(ring[order], ring[order[0]])
    right = np.clip(np.searchsorted(own, wanted, side="right"), 1, len(own) - 1)
    share = (wanted - own[right - 1]) / (own[right] - own[right - 1])
    rows = np.arange(len(wanted))
    return sparse.csr_matrix(
        (
            np.concatenate([1 - share, share]),
            (np.concatenate([rows, rows]), np.concatenate([ring[right - 1], ring[right]])),
        ),
        (len(wanted), len(points)),
    )


def _links(triangles: IntArray, count: int) -> sparse.csr_matrix:
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    links = sparse.coo_matrix((np.ones(len(edges), np.int32), (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    return ((links + links.T) > 0).astype(np.int32)


def _cycle(links: Any, members: Ints) -> Ints | None:
    """The members in their order around, or None where they are no single closed ring."""
    within = links[members][:, members]
    if len(members) < 3 or not (np.asarray(within.sum(axis=1)).ravel() == 2).all():
        return None
    order = [0, int(within.indices[0])]
    while len(order) < len(members):
        a, b = within.indices[within.indptr[order[-1]] : within.indptr[order[-1] + 1]]
        step = int(b if a == order[-2] else a)
        if step == 0:
            return None
        order.append(step)
    return members[np.array(order)]
