"""Which triangles of a head are halves of one quad: modelling tools want quads, the numerics stay with triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import IntArray


def halves_of(faces: NDArray[np.integer[Any]], triangles: NDArray[np.integer[Any]]) -> IntArray:
    """The pairs (Q,2) of ``triangles (F,3)`` that together are one of the quads ``faces (N,4)``, either way it is cut.

    A face whose halves are not both there, such as one with a corner below 0, has no pair.
    """
    where = {corners: n for n, corners in enumerate(map(tuple, np.sort(triangles, axis=1).tolist()))}
    pairs: list[list[int]] = []
    for face in np.asarray(faces)[(np.asarray(faces) >= 0).all(axis=1)].tolist():
        for cut in (((0, 1, 2), (0, 2, 3)), ((1, 2, 3), (0, 1, 3))):
            found = [where.get(tuple(sorted(face[k] for k in half)), -1) for half in cut]
            if min(found) >= 0:
                pairs.append(sorted(found))
                break
    found_pairs = np.array(sorted(pairs), np.int32).reshape(-1, 2)
    uses = np.bincount(found_pairs.ravel(), minlength=len(triangles))
    return found_pairs[_share_an_edge(found_pairs, triangles) & (uses[found_pairs] == 1).all(axis=1)]


def kept_pairs(pairs: IntArray, kept: NDArray[np.bool_]) -> IntArray:
    """Pairs (Q',2) in the numbers of the triangles that are ``kept (F,)``, of those whose halves both are."""
    number = np.cumsum(kept, dtype=np.int32) - 1
    return number[pairs[kept[pairs].all(axis=1)]].reshape(-1, 2)


def whole_in_atlas(pairs: IntArray, triangles: IntArray, uv_triangles: IntArray) -> IntArray:
    """The pairs (Q',2) whose halves share an edge in the atlas too: a quad has no seam across it."""
    same = triangles[pairs[:, 0], :, None] == triangles[pairs[:, 1], None, :]
    together = uv_triangles[pairs[:, 0], :, None] == uv_triangles[pairs[:, 1], None, :]
    return pairs[(together | ~same).all(axis=(1, 2))]


def fault_of(pairs: IntArray, triangles: IntArray, uv_triangles: IntArray) -> str:
    """What contradicts ``HeadModel.quads``, in words; empty where nothing does."""
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        return f"quads has shape {pairs.shape}, expected (Q, 2)"
    if not pairs.size:
        return ""
    if pairs.min() < 0 or pairs.max() >= len(triangles):
        return f"quads points outside 0…{len(triangles) - 1}"
    if len(np.unique(pairs)) != pairs.size:
        return "a triangle is part of two quads"
    if not _share_an_edge(pairs, triangles).all():
        return "the triangles of a quad do not share an edge"
    if len(whole_in_atlas(pairs, triangles, uv_triangles)) != len(pairs):
        return "a seam of the atlas crosses a quad"
    return ""


def _share_an_edge(pairs: IntArray, triangles: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """(Q,) whether the halves share one edge, along which they run in opposite directions: they face the same way."""
    first, second = triangles[pairs[:, 0]], triangles[pairs[:, 1]]
    edges = np.stack([first, np.roll(first, -1, axis=1)], axis=2)
    back = np.stack([np.roll(second, -1, axis=1), second], axis=2)
    shared: NDArray[np.bool_] = (edges[:, :, None] == back[:, None]).all(axis=3).sum(axis=(1, 2)) == 1
    return shared
