"""The faces of a head as modelling tools want them: quads where the head has quads. Pure numerics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.export.blender import triangle_parts
from backend.head_model.model import HeadModel

Int = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Faces:
    """N faces of C corners each: ``vertices (N,C)``, their ``atlas (N,C)`` vertices, the ``part (N,)`` of each."""

    vertices: Int
    atlas: Int
    part: Int


@dataclass(frozen=True, eq=False)
class Surface:
    """All faces of a head, counter-clockwise seen from outside; ``part_names`` are those of material slots."""

    quads: Faces
    triangles: Faces
    part_names: tuple[str, ...]


def surface_of(head: HeadModel) -> Surface:
    """The head's own faces: without hair, as a track's numbers speak of nothing else."""
    names, part = triangle_parts(head)
    single = np.ones(len(head.triangles), bool)
    single[head.quads.ravel()] = False
    vertices, atlas = _joined(head)
    return Surface(
        quads=Faces(vertices, atlas, part[head.quads[:, 0]].astype(np.int64)),
        triangles=Faces(
            head.triangles[single].astype(np.int64),
            head.uv_triangles[single].astype(np.int64),
            part[single].astype(np.int64),
        ),
        part_names=names,
    )


def _joined(head: HeadModel) -> tuple[Int, Int]:
    """Corners (Q,4) and atlas vertices (Q,4) of the quads, which begin with the corner that the other half lacks."""
    first, second = head.triangles[head.quads[:, 0]], head.triangles[head.quads[:, 1]]
    rows = np.arange(len(first))[:, None]
    own = (first[:, :, None] != second[:, None, :]).all(axis=2).argmax(axis=1)
    other = (second[:, :, None] != first[:, None, :]).all(axis=2).argmax(axis=1)
    around = (own[:, None] + np.arange(3)) % 3

    def quad(one: NDArray[np.int32], two: NDArray[np.int32]) -> Int:
        turned, last = one[rows, around], two[rows, other[:, None]]
        return np.concatenate([turned[:, :2], last, turned[:, 2:]], axis=1).astype(np.int64)

    atlas = head.uv_triangles[head.quads[:, 0]], head.uv_triangles[head.quads[:, 1]]
    return quad(first, second), quad(*atlas)
