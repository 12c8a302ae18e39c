"""The ways in which one person's actions may differ from a head's: smooth fields where an action already moves.

A correction of action E is g·E + |E|·s: a smooth gain g along the action's own path, which carries what one view cannot
see with what it can, and a smooth displacement s in any direction, in units of how far the action itself goes there.
Both are Gaussian random fields on the skin (Lüthi et al. 2018), smooth along it: lips and lids that touch move apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import eigsh
from scipy.spatial import cKDTree

from backend.head_model.model import HeadModel, SurfacePoints
from backend.head_model.registration.nonrigid import cotangent_laplacian

F64 = NDArray[np.float64]
Index = NDArray[np.int64]

INNER = ("mouth_bag", "eye_sockets")
"""Regions of the skin that nobody sees: they follow, and count for nothing."""
RIGID = ("teeth", "tongue", "left_eyeball", "right_eyeball")
"""What keeps the head's own actions; other parts that are no skin (lashes, brows) hang on the skin nearest to them."""
ACROSS = np.array([-1.0, 1.0, 1.0])
"""Head space, mirrored."""
MOVED = 3e-4  # m; skin that no action moves farther is left out

FIELDS = 60  # smooth fields over the moving skin; 90 measure no better
LENGTH = 0.02  # m, along the skin; how far apart two points must be to differ independently
SPREAD = 0.006  # m; a correction reaches this far beyond where its action moves, as points beside it ask for
GAIN = 0.5  # σ of the gain
ASIDE = 0.3  # σ of the displacement in any direction
FARTHEST = 0.012  # m; of what goes farther, as the jaw, only as much is in doubt
KEPT = 0.9  # share of a field's variance that an action's modes keep


@dataclass(frozen=True, eq=False)
class SkinFields:
    """Smooth fields on the skin that moves, n vertices: the same variance everywhere, independent coefficients.

    ``index (n,)`` vertices of the head, ``fields (n,M)``, ``mirror (n,)`` the vertex nearest across the middle,
    ``area (n,)`` m² of each vertex, ``seen (n,)`` the same but 0 where nobody sees it; ``blur (n,M)`` smooths by
    ``blur @ blur.T @ (area * values)``; vertices ``follow (m,)`` move as those of the skin that ``lead (m,)`` names.
    """

    index: Index
    fields: F64
    mirror: Index
    area: F64
    seen: F64
    blur: F64
    follow: Index
    lead: Index


@lru_cache(maxsize=4)
def skin_fields(head: HeadModel) -> SkinFields:
    """The fields of a head's skin: eigenfunctions of its Laplacian, damped as a Gaussian kernel damps their waves."""
    skin = head.regions.get("skin", np.ones(head.vertex_count, bool))
    index = np.flatnonzero(skin & (np.linalg.norm(head.expression_basis, axis=2).max(axis=0) > MOVED))
    place = np.full(head.vertex_count, -1)
    place[index] = np.arange(len(index))
    triangles = place[head.triangles]
    triangles = triangles[(triangles >= 0).all(axis=1)].astype(np.int32)
    points = head.template[index].astype(np.float64)
    laplacian, area = cotangent_laplacian(points, triangles)
    # a fixed start: the same head has the same fields in every process
    start = np.random.default_rng(0).standard_normal(len(index))
    mass = sparse.diags(area).tocsc()
    values, waves = eigsh(laplacian.tocsc(), min(FIELDS, len(index) - 1), mass, sigma=-1.0, v0=start)
    damped = waves * np.exp(-np.maximum(values, 0) * LENGTH**2 / 4)
    inner = np.zeros(len(index), bool)
    for name in INNER:
        inner |= head.regions.get(name, np.zeros(head.vertex_count, bool))[index]
    loose = ~skin
    for name in RIGID:
        loose &= ~head.regions.get(name, np.zeros(head.vertex_count, bool))
    follow = np.flatnonzero(loose)
    nearest = cKDTree(points).query(head.template[follow])[1] if len(follow) else np.zeros(0, int)
    return SkinFields(
        index=index,
        fields=damped / np.linalg.norm(damped, axis=1).clip(1e-6)[:, None],
        mirror=np.asarray(cKDTree(points).query(points * [-1, 1, 1])[1], np.int64),
        area=area,
        seen=np.where(inner, 0.0, area),
        blur=waves * np.exp(-np.maximum(values, 0) * SPREAD**2 / 2),
        follow=follow,
        lead=index[nearest],
    )


@dataclass(frozen=True, eq=False)
class Modes:
    """The fields by which something on the skin may differ, each coefficient with a unit normal prior.

    ``path (n,3)`` metres times ``along (n,p)``, and ``aside (n,q)`` metres along each of the three axes: p + 3q in all.
    """

    path: F64
    along: F64
    aside: F64

    @property
    def count(self) -> int:
        """p + 3q."""
        return self.along.shape[1] + 3 * self.aside.shape[1]

    def field(self, coefficients: F64) -> F64:
        """(n,3) metres of coefficients (p+3q,)."""
        split = self.along.shape[1]
        moved = self.path * (self.along @ coefficients[:split])[:, None]
        return np.asarray(moved + self.aside @ coefficients[split:].reshape(3, -1).T)

    def at(self, there: sparse.csr_matrix) -> F64:
        """(N,3,p+3q) the modes at N points that ``there (N,n)`` interpolates; to first order in the mesh's edges."""
        aside = np.asarray(there @ self.aside)
        along = np.asarray(there @ self.path)[:, :, None] * np.asarray(there @ self.along)[:, None]
        return np.concatenate([along, np.kron(np.eye(3), aside[:, None]).reshape(len(aside), 3, -1)], axis=2)

    def mirrored(self, mirror: Index) -> Modes:
        """The same on the other side: ``mirror (n,)`` is each vertex's counterpart."""
        return Modes(self.path[mirror] * ACROSS, self.along[mirror], self.aside[mirror])

    def strengthening(self, action: F64, weight: F64) -> F64:
        """(p+3q,) by what share each mode strengthens the whole ``action (n,3)``; vertices count ``weight (n,)``."""
        counted = weight[:, None] * action
        along = (counted * self.path).sum(axis=1) @ self.along
        return np.asarray(np.concatenate([along, (counted.T @ self.aside).ravel()]) / (counted * action).sum())


def action_modes(skin: SkinFields, action: F64) -> Modes:
    """The modes of one action's correction; ``action (n,3)`` metres is its own displacement of the skin."""
    path = action * min(1.0, FARTHEST / np.linalg.norm(action, axis=1).max())
    size = np.linalg.norm(path, axis=1)
    around = np.sqrt(np.maximum(skin.blur @ (skin.blur.T @ (skin.area * size**2)), 0.0)).clip(max=size.max())
    return Modes(path, GAIN * _principal(skin, size), ASIDE * around[:, None] * _principal(skin, around))


def _principal(skin: SkinFields, size: F64) -> F64:
    """(n,m): the combinations of the fields that hold most of their variance where the skin moves by ``size (n,)``."""
    variance, turn = np.linalg.eigh(skin.fields.T @ ((skin.seen * size**2)[:, None] * skin.fields))
    shares = np.cumsum(variance[::-1])
    return skin.fields @ turn[:, ::-1][:, : int(np.searchsorted(shares, KEPT * shares[-1])) + 1]


def interpolation(head: HeadModel, points: SurfacePoints, skin: SkinFields) -> sparse.csr_matrix:
    """(N,n): fields on the skin at N surface points; 0 where a point lies on what does not move."""
    place = np.full(head.vertex_count, -1)
    place[skin.index] = np.arange(len(skin.index))
    corners = place[head.triangles[points.triangle]]
    row, inside = np.repeat(np.arange(len(points)), 3), (corners >= 0).ravel()
    weight = points.barycentric.astype(np.float64).ravel()
    return sparse.csr_matrix((weight[inside], (row[inside], corners.ravel()[inside])), (len(points), len(skin.index)))
