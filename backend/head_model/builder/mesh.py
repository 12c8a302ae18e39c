"""Cuts the head out of MakeHuman's body and assembles its parts; every new vertex is linear in the old ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from backend.head_model.builder import eyes
from backend.head_model.builder.lashes import LENGTH, lash_roots
from backend.head_model.builder.source import Source
from backend.head_model.quads import halves_of

NECK_DROP, NECK_DEPTH, NECK_SLOPE = 0.155, 0.054, 0.36
"""The cut passes 155 mm below and 54 mm behind the point between the eyes, and rises by 0.36 towards the back."""

SNAP = 0.3
"""A vertex within this share of an edge's length from the cut slides onto it, so that no sliver triangles remain."""

PART_GROUPS = {
    "teeth": ("helper-upper-teeth", "helper-lower-teeth"),
    "tongue": ("helper-tongue",),
    "lashes": ("helper-l-eyelashes-1", "helper-l-eyelashes-2", "helper-r-eyelashes-1", "helper-r-eyelashes-2"),
}
EYE_GROUPS = {"left_eyeball": "helper-l-eye", "right_eyeball": "helper-r-eye"}


@dataclass(frozen=True, eq=False)
class HeadMesh:
    """The head's topology, and how its vertices follow from MakeHuman's N.

    The first vertices are ``combination (S,N)`` of the old ones (skin, teeth, tongue, lashes), then come the
    two eyeballs.
    """

    combination: sparse.csr_matrix
    eye_vertices: tuple[NDArray[np.int64], NDArray[np.int64]]
    eye_directions: tuple[NDArray[np.float64], NDArray[np.float64]]
    triangles: NDArray[np.int32]  # (F,3)
    quads: NDArray[np.int32]  # (Q,2) triangles that are one quad of the base mesh or of an eyeball
    mirror: NDArray[np.int64]  # (V,)
    parts: Mapping[str, NDArray[np.bool_]]  # (V,) each; every vertex is in exactly one
    lash_roots: NDArray[np.int64]  # (V,) the vertex that a lash vertex grows from; itself elsewhere
    base_vertex: NDArray[np.int64]  # (S,) the base mesh's vertex with the largest share in each combined one

    def apply(self, shapes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Positions or offsets (…,N,3) of the base mesh carried to the head's vertices (…,V,3)."""
        flat = np.asarray(shapes, np.float64).reshape(-1, shapes.shape[-2], 3)
        out = np.empty((len(flat), len(self.mirror), 3))
        count = self.combination.shape[0]
        for n, shape in enumerate(flat):
            out[n, :count] = self.combination @ shape
        start = count
        for index, directions in zip(self.eye_vertices, self.eye_directions, strict=True):
            out[:, start : start + eyes.VERTICES_PER_EYE] = eyes.spheres_from(flat[:, index], directions)
            start += eyes.VERTICES_PER_EYE
        return out.reshape(*shapes.shape[:-2], len(self.mirror), 3)


def cut_head(source: Source, body: NDArray[np.float64]) -> HeadMesh:
    """The head's mesh: skin above the neck cut, teeth, tongue, lashes and new eyeballs.

    ``body (N,3)`` is the base mesh in the shape of the mean adult, on which the cut is plane.
    """
    faces = _triangulate(source.groups["body"], source.vertices, source.mirror)
    eyes_middle = body[np.concatenate([source.groups[group].ravel() for group in EYE_GROUPS.values()])].mean(axis=0)
    skin, cut = _slice(faces, body - eyes_middle)
    triangles, parts = [skin], ["skin"] * len(skin)
    for part, groups in PART_GROUPS.items():
        for group in groups:
            piece = _triangulate(source.groups[group], source.vertices, source.mirror)
            triangles.append(piece)
            parts += [part] * len(piece)
    roots = {}
    for group in PART_GROUPS["lashes"]:
        length = LENGTH[group[-1]]
        for vertex, root in lash_roots(source, group).items():
            roots[vertex] = root
            if vertex != root:
                cut[vertex] = (root, vertex, length)
    return _assemble(source, np.concatenate(triangles), np.array(parts), cut, roots)


def _triangulate(
    quads: NDArray[np.int64], vertices: NDArray[np.float64], mirror: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Triangles (2F,3) of quads (F,4), split along the shorter diagonal, the same way on both sides of the head."""
    lengths = [np.linalg.norm(vertices[quads[:, a]] - vertices[quads[:, b]], axis=1) for a, b in ((0, 2), (1, 3))]
    # a tie (rounded to 1 µm) goes to the diagonal of the smaller vertex pair, counted on the subject's left
    keys = [
        np.minimum(quads[:, a], mirror[quads[:, a]]) + np.minimum(quads[:, b], mirror[quads[:, b]])
        for a, b in ((0, 2), (1, 3))
    ]
    longer = np.round(lengths[0] * 1e6) - np.round(lengths[1] * 1e6)
    second = (longer > 0) | ((longer == 0) & (keys[0] > keys[1]))
    rolled = np.where(second[:, None], np.roll(quads, -1, axis=1), quads)
    return np.stack([rolled[:, [0, 1, 2]], rolled[:, [0, 2, 3]]], axis=1).reshape(-1, 3)


Cut = dict[int, tuple[int, int, float]]
"""New or moved vertex -> (a, b, t): it lies at (1−t)·a + t·b."""


def _slice(triangles: NDArray[np.int64], vertices: NDArray[np.float64]) -> tuple[NDArray[np.int64], Cut]:
    height = vertices[:, 1] + NECK_DROP + (vertices[:, 2] + NECK_DEPTH) * NECK_SLOPE
    height = np.round(height, 12).astype(np.float64)
    cut: Cut = {}
    edges = np.unique(
        np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1), axis=0
    )
    level: NDArray[np.float64] = height.copy()
    crossing = edges[height[edges[:, 0]] * height[edges[:, 1]] < 0]
    steepest: dict[int, float] = {}
    for a, b in crossing:
        for near, other in ((int(a), int(b)), (int(b), int(a))):
            t = height[near] / (height[near] - height[other])
            drop = abs(height[near] - height[other])
            if t < SNAP and drop > steepest.get(near, 0.0) + 1e-9:
                steepest[near] = drop
                cut[near] = (near, other, float(t))
                level[near] = 0.0
    crossing = crossing[level[crossing[:, 0]] * level[crossing[:, 1]] < 0]
    between: dict[tuple[int, int], int] = {}
    for n, (a, b) in enumerate(crossing):
        index = len(vertices) + n
        between[int(a), int(b)] = index
        cut[index] = (int(a), int(b), float(level[a] / (level[a] - level[b])))
    kept = triangles[(level[triangles] >= 0).all(axis=1) & (level[triangles] > 0).any(axis=1)]
    mixed = triangles[(level[triangles] < 0).any(axis=1) & (level[triangles] > 0).any(axis=1)]
    clipped = [corner for triangle in mixed for corner in _clip(triangle, level, between)]
    return np.concatenate([kept, np.array(clipped, np.int64).reshape(-1, 3)]), cut


def _clip(
    triangle: NDArray[np.int64], level: NDArray[np.float64], between: dict[tuple[int, int], int]
) -> list[list[int]]:
    polygon: list[int] = []
    for k in range(3):
        a, b = int(triangle[k]), int(triangle[(k + 1) % 3])
        if level[a] >= 0:
            polygon.append(a)
        if level[a] * level[b] < 0:
            polygon.append(between[min(a, b), max(a, b)])
    return [[polygon[0], polygon[k], polygon[k + 1]] for k in range(1, len(polygon) - 1)]


def _assemble(
    source: Source, triangles: NDArray[np.int64], owner: NDArray[np.str_], cut: Cut, roots: dict[int, int]
) -> HeadMesh:
    used = np.unique(triangles)
    renumbered = np.full(used.max() + 1, -1)
    renumbered[used] = np.arange(len(used))
    rows, columns, values = [], [], []
    for new, old in enumerate(used):
        a, b, t = cut.get(int(old), (int(old), int(old), 0.0))
        rows += [new, new]
        columns += [a, b]
        values += [1 - t, t]
    combination = sparse.csr_matrix((values, (rows, columns)), (len(used), len(source.vertices)))
    combination.eliminate_zeros()
    unit, eye_triangles = eyes.unit_eyeball()
    starts = [len(used), len(used) + len(unit)]
    total = len(used) + 2 * len(unit)
    all_triangles = np.concatenate([renumbered[triangles], eye_triangles + starts[0], eye_triangles + starts[1]])
    parts = {part: np.zeros(total, bool) for part in ("skin", *PART_GROUPS, *EYE_GROUPS)}
    for part in ("skin", *PART_GROUPS):
        parts[part][renumbered[triangles[owner == part]]] = True
    for part, start in zip(EYE_GROUPS, starts, strict=True):
        parts[part][start : start + len(unit)] = True
    eye_vertices = [np.unique(source.groups[name]) for name in EYE_GROUPS.values()]
    around = [source.vertices[index] - source.vertices[index].mean(axis=0) for index in eye_vertices]
    directions = [offset / np.linalg.norm(offset, axis=1, keepdims=True) for offset in around]
    eye_mirror = eyes.eyeball_mirror()
    mirror = np.concatenate([_mirror_rows(combination, source.mirror), eye_mirror + starts[1], eye_mirror + starts[0]])
    root_of = np.arange(total)
    for vertex, root in roots.items():
        root_of[renumbered[vertex]] = renumbered[root]
    return HeadMesh(
        combination,
        (eye_vertices[0], eye_vertices[1]),
        (directions[0], directions[1]),
        all_triangles.astype(np.int32),
        halves_of(_faces(source, renumbered, starts), all_triangles),
        mirror,
        parts,
        root_of,
        np.asarray(combination.argmax(axis=1)).ravel(),
    )


def _faces(source: Source, renumbered: NDArray[np.int64], starts: list[int]) -> NDArray[np.int64]:
    """The quads (n,4) that the mesh is cut from, in its numbers; a corner that is cut off has -1."""
    groups = ["body", *(group for groups in PART_GROUPS.values() for group in groups)]
    padded = np.append(renumbered, np.full(max(0, len(source.vertices) - len(renumbered)), -1))
    return np.concatenate(
        [*(padded[source.groups[group]] for group in groups), *(eyes.ring_quads() + s for s in starts)]
    )


def _mirror_rows(combination: sparse.csr_matrix, mirror: NDArray[np.int64]) -> NDArray[np.int64]:
    keys = {}
    for n in range(combination.shape[0]):
        row = combination[n]
        keys[tuple(sorted(zip(row.indices.tolist(), np.round(row.data, 6).tolist(), strict=True)))] = n
    found = np.empty(combination.shape[0], np.int64)
    for key, n in keys.items():
        found[n] = keys[tuple(sorted((int(mirror[v]), w) for v, w in key))]
    return found
