"""What grows on a head and is no part of its mesh: geometry for a scene, each point carried by points of the skin."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel, SurfacePoints
from protocol.take import HeadGeometry


@dataclass(frozen=True, eq=False)
class Hair:
    """N vertices of a material slot ``part``, head space, metres."""

    part: str
    neutral: NDArray[np.float32]  # (N,3)
    deltas: NDArray[np.float32]  # (K,N,3) of each expression at 1
    weights: NDArray[np.float32]  # (N,J)
    places: NDArray[np.float32]  # (N,2) in the atlas
    quads: NDArray[np.int32]  # (M,4) corners among the N, counter-clockwise seen from outside


def at_points(head: HeadModel, points: SurfacePoints, values: NDArray[Any]) -> NDArray[np.float64]:
    """Values (V,…) of the head's vertices at points (N) of its surface, (N,…)."""
    corners = values[head.triangles[points.triangle]]
    return np.asarray(np.einsum("nk,nk...->n...", points.barycentric, corners), np.float64)


def atlas_places(head: HeadModel, points: SurfacePoints) -> NDArray[np.float64]:
    """The places (N,2) of points of the head's surface in the atlas."""
    corners = head.uv_vertices[head.uv_triangles[points.triangle]]
    return np.asarray(np.einsum("nk,nkc->nc", points.barycentric, corners), np.float64)


def with_hair(head: HeadGeometry, hair: Hair) -> HeadGeometry:
    """The head with vertices and faces more, after its own."""
    vertices, atlas, faces, count = len(head.neutral), len(head.uv_vertices), len(head.triangles), len(hair.neutral)
    halves = np.stack([hair.quads[:, [0, 1, 2]], hair.quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    names = head.part_names if hair.part in head.part_names else (*head.part_names, hair.part)
    return dataclasses.replace(
        head,
        neutral=_joined(head.neutral, hair.neutral),
        expression_deltas=_joined(head.expression_deltas, hair.deltas, axis=1),
        triangles=_joined(head.triangles, halves + vertices),
        uv_vertices=_joined(head.uv_vertices, hair.places),
        uv_triangles=_joined(head.uv_triangles, halves + atlas),
        skinning_weights=_joined(head.skinning_weights, hair.weights),
        part_names=names,
        triangle_part=_joined(head.triangle_part, np.full(len(halves), names.index(hair.part))),
        quads=_joined(head.quads, np.arange(len(halves)).reshape(-1, 2) + faces),
        light=_joined(head.light, np.ones(count)),
        lips=_joined(head.lips, np.zeros(count)),
    )


def _joined(own: NDArray[Any], more: NDArray[Any], axis: int = 0) -> NDArray[Any]:
    return np.concatenate([own, more.astype(own.dtype)], axis=axis)
