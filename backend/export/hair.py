"""Joins what grows on a head, which is no part of its mesh, to the geometry of a scene."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.hair import Hair
from protocol.take import HeadGeometry


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
        light=_joined(head.light, hair.light),
        lips=_joined(head.lips, np.zeros(count)),
    )


def _joined(own: NDArray[Any], more: NDArray[Any], axis: int = 0) -> NDArray[Any]:
    return np.concatenate([own, more.astype(own.dtype)], axis=axis)
