"""Bends one surface onto another: non-rigid iterative closest points with a thin-plate (bi-Laplacian) regulariser.

After Amberg, Romdhani and Vetter 2007, "Optimal step nonrigid ICP algorithms for surface registration": the stiffness
falls in steps, and at each step closest points and the linear solve alternate. The regulariser is the cotangent
Laplacian of the displacement field (Botsch and Sorkine 2008, eq. 11) instead of their per-vertex affine maps: a quarter
of the unknowns, and as good once the identity basis has explained the large differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from backend.head_model.model import BoolArray, IntArray
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """One stiffness: how much bending costs, how far a closest point may lie (m), how much landmarks count."""

    stiffness: float
    reach: float
    landmark: float
    rounds: int


SCHEDULE = (
    Step(30.0, 0.020, 3.0, 2),
    Step(10.0, 0.015, 2.0, 2),
    Step(3.0, 0.010, 1.0, 2),
    Step(1.0, 0.008, 0.5, 2),
    Step(0.3, 0.006, 0.2, 2),
    Step(0.1, 0.005, 0.1, 2),
    Step(0.03, 0.004, 0.05, 3),
)
TANGENT = 0.1
"""Weight of staying at the closest point, against 1 for staying on its plane: surfaces slide, but not freely."""
STRETCH = 0.02
"""Weight of the first-order term (stretching) against the second-order one (bending)."""
MIN_AGREEMENT = 0.4
"""Least cosine between the normals of two corresponding points."""
SOLVED, MOST_ROUNDS = 1e-11, 200
"""What may be left of the right-hand side (a vertex then lies within a nanometre of the exact solution), and after how
many rounds a system that rounding keeps from that is taken as it is."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """Surface points of the moving mesh that are wanted at positions: rows (N,V) sparse, positions (N,3), weights."""

    rows: sparse.csr_matrix
    position: F64
    weight: F64


def bend_onto(
    start: F64,
    triangles: IntArray,
    drawn: BoolArray,
    target: MeshSurface,
    anchors: Anchors,
    on_step: Callable[[float], None] = lambda _: None,
    *,
    schedule: Sequence[Step] = SCHEDULE,
    unfollowed: BoolArray | None = None,
) -> F64:
    """Vertices (V,3) of ``start`` bent onto ``target``.

    ``drawn (V,)`` says which vertices are pulled; the others follow smoothly. Vertices of no triangle stay. Where the
    closest triangle is among those ``unfollowed (F,)``, as at the rim of an open surface, it does not pull.
    """
    laplacian, mass = cotangent_laplacian(start, triangles)
    bending = laplacian.T @ sparse.diags(1 / mass) @ laplacian
    # both in units of the pull of one vertex on a mesh of this density
    size = float(np.median(mass))
    smooth = bending * size + STRETCH * laplacian
    moved = start.copy()
    total = sum(step.rounds for step in schedule)
    done = 0
    for step in schedule:
        for _ in range(step.rounds):
            moved = _solve(start, moved, triangles, drawn, target, anchors, smooth, step, unfollowed)
            done += 1
            on_step(done / total)
    return moved


def _solve(
    start: F64,
    moved: F64,
    triangles: IntArray,
    drawn: BoolArray,
    target: MeshSurface,
    anchors: Anchors,
    smooth: sparse.csr_matrix,
    step: Step,
    unfollowed: BoolArray | None,
) -> F64:
    count = len(start)
    normals = vertex_normals(moved, triangles)
    index = np.flatnonzero(drawn)
    foot = target.closest_nearby(moved[index], normals[index])
    facing = target.normals[foot.triangle]
    agreement = np.einsum("nc,nc->n", facing, normals[index])
    kept = (foot.distance < step.reach) & (agreement > MIN_AGREEMENT)
    if unfollowed is not None:
        kept &= ~unfollowed[foot.triangle]
    index, goal, normal = index[kept], foot.position[kept], facing[kept]
    weight = 1 / (1 + (foot.distance[kept] / (0.5 * step.reach)) ** 2)
    blocks = weight[:, None, None] * (normal[:, :, None] * normal[:, None, :] + TANGENT * np.eye(3))
    pull, right = np.zeros((count, 3, 3)), np.zeros((count, 3))
    pull[index], right[index] = blocks, np.einsum("nij,nj->ni", blocks, goal)
    rows = sparse.diags(anchors.weight * step.landmark) @ anchors.rows
    both = step.stiffness * smooth + anchors.rows.T @ rows + 1e-8 * sparse.identity(count)
    right += step.stiffness * (smooth @ start) + rows.T @ anchors.position + 1e-8 * start
    return _solved(both.tocsr(), pull, right, moved)


def _solved(both: sparse.csr_matrix, pull: F64, right: F64, guess: F64) -> F64:
    """The x (V,3) of both·x + pull·x = right: ``both (V,V)`` holds each axis alike, ``pull (V,3,3)`` a vertex alone.

    Conjugate gradients, preconditioned by the same system with each pull's mean over the axes: that has a third of the
    unknowns. A pull's eigenvalues are (TANGENT, TANGENT, 1 + TANGENT) times its weight and its mean a third of their
    sum, so that no eigenvalue of the preconditioned system lies outside 0.23 … 2.54 and 60 rounds are far from needed.
    """
    near = both + sparse.diags(pull.trace(axis1=1, axis2=2) / 3)
    factor = splu(near.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    x = guess.copy()
    rest = right - both @ x - np.einsum("nij,nj->ni", pull, x)
    enough = SOLVED * np.linalg.norm(right)
    along, before = np.zeros_like(x), 1.0
    for _ in range(MOST_ROUNDS):
        if np.linalg.norm(rest) <= enough:
            break
        steep = factor.solve(rest)
        now = float(np.vdot(steep, rest))
        along = steep + now / before * along
        before = now
        changed = both @ along + np.einsum("nij,nj->ni", pull, along)
        length = now / float(np.vdot(along, changed))
        x += length * along
        rest -= length * changed
    return x


def cotangent_laplacian(vertices: F64, triangles: IntArray) -> tuple[sparse.csr_matrix, F64]:
    """The positive semi-definite cotangent Laplacian (V,V) and each vertex's share of the area (V,), m².

    Botsch and Sorkine 2008, "On linear variational surface deformation methods", eq. 6; cotangents clipped to keep
    slivers from folding.
    """
    count = len(vertices)
    rows, columns, values = [], [], []
    area = np.zeros(count)
    for k in range(3):
        i, j, o = triangles[:, k], triangles[:, (k + 1) % 3], triangles[:, (k + 2) % 3]
        a, b = vertices[i] - vertices[o], vertices[j] - vertices[o]
        double = np.maximum(np.linalg.norm(np.cross(a, b), axis=1), 1e-14)
        rows.append(i)
        columns.append(j)
        values.append(np.clip((a * b).sum(axis=1) / double, 0.05, 5.0) / 2)
        np.add.at(area, o, double / 6)
    weights = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), (count, count)
    ).tocsr()
    weights = weights + weights.T
    laplacian = sparse.diags(np.asarray(weights.sum(axis=1)).ravel()) - weights
    return laplacian.tocsr(), np.maximum(area, 0.1 * np.median(area[area > 0]))
