"""The canonical atlas: a place in the unit square for every point of the head's surface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder.mesh import HeadMesh


@dataclass(frozen=True, eq=False)
class Atlas:
    """``uv (V,2)`` of each vertex; ``uv_vertices (U,2)`` and ``uv_triangles (F,3)`` with seams cut open."""

    uv: NDArray[np.float64]
    uv_vertices: NDArray[np.float64]
    uv_triangles: NDArray[np.int64]


def make_atlas(mesh: HeadMesh, regions: Mapping[str, NDArray[np.bool_]], template: NDArray[np.float64]) -> Atlas:
    """Cylindrical coordinates about the head's axis, v by height; parts other than skin share the lower margin."""
    x, y, z = template.T
    around = np.arctan2(x, z + 0.08) / (2 * np.pi)
    uv = np.stack([0.5 + 0.98 * around, 0.12 + 0.86 * (y - y.min()) / np.ptp(y)], axis=1)
    others = [name for name in mesh.parts if name != "skin"]
    for n, name in enumerate(others):
        part = mesh.parts[name]
        low, high = template[part].min(axis=0)[:2], template[part].max(axis=0)[:2]
        uv[part] = [n / len(others), 0.0] + (template[part][:, :2] - low) / (high - low) * [0.9 / len(others), 0.1]
    assert set(regions) >= set(mesh.parts)
    return Atlas(uv, uv, mesh.triangles.astype(np.int64))
