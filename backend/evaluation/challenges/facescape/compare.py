"""FaceScape's measures of a head against the true one, and the depth at which the two are compared.

Source: ``evaluator.py`` of github.com/zhuhao-nju/facescape, benchmark/code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.challenges.facescape.cylinder import CylinderMap, cylinder_map, cylinder_mesh
from backend.evaluation.metrics.normals import angle_degrees
from backend.head_model.rasterise import rasterise
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]

SEEN_SIDE = 256
"""Pixels of the pictures in which depths are compared."""


@dataclass(frozen=True, eq=False)
class Solid:
    """A mesh: ``vertices (V,3)`` in millimetres and ``triangles (F,3)``, counter-clockwise seen from outside."""

    vertices: F64
    triangles: NDArray[np.int32]

    def moved(self, vertices: F64) -> Solid:
        """The same triangles between other places."""
        return Solid(vertices, self.triangles)


@dataclass(frozen=True)
class Likeness:
    """``cd_mm``: mean distance of the vertices of either cylinder mesh from the other, over what both maps show.

    ``mne`` is the benchmark's mean normal error, radians: the angle between (n + 1) / ‖n + 1‖ of both normals, as they
    look when drawn as colours, which is less than the angle between the normals, ``normal_deg`` in degrees.
    ``completeness`` is the share of the true map that the other covers, 0…1. NaN where they have nothing in common.
    """

    cd_mm: float
    mne: float
    normal_deg: float
    completeness: float


def likeness(
    true: Solid, found: Solid, rotation: NDArray[np.floating[Any]], centre: NDArray[np.floating[Any]]
) -> Likeness:
    """How alike two heads in one space are; ``centre (3,)`` mm is the head's middle there, ``rotation (3,3)`` turns
    upright heads that look along z to it."""
    turn, middle = np.asarray(rotation, np.float64), np.asarray(centre, np.float64)
    upright = [solid.moved((solid.vertices - middle) @ turn) for solid in (true, found)]
    maps = [cylinder_map(solid.vertices, solid.triangles) for solid in upright]
    both = maps[0].hit & maps[1].hit
    completeness = float(both.sum() / maps[0].hit.sum()) if maps[0].hit.any() else float("nan")
    if not both.any():
        return Likeness(float("nan"), float("nan"), float("nan"), completeness)
    one, other = (_normals(solid, m)[both] for solid, m in zip(upright, maps, strict=True))
    coloured = [(n + 1) / np.linalg.norm(n + 1, axis=1, keepdims=True) for n in (one, other)]
    return Likeness(
        _both_ways(maps, both),
        float(np.deg2rad(angle_degrees(*coloured).mean())),
        float(angle_degrees(one, other).mean()),
        completeness,
    )


def _normals(solid: Solid, seen: CylinderMap) -> F64:
    """(256,256,3) unit normals of the triangles that are hit."""
    return MeshSurface(solid.vertices, solid.triangles).normals[seen.triangle]


def _both_ways(maps: list[CylinderMap], both: NDArray[np.bool_]) -> float:
    meshes = [cylinder_mesh(np.where(both, seen.radius, 0.0)) for seen in maps]
    if any(not len(triangles) for _, triangles in meshes):
        return float("nan")
    (one, of_one), (other, of_other) = meshes
    # on maps of a head and its copy, two per cent larger, 0.000002 mm from what measuring every triangle gives
    there = MeshSurface(other, of_other).closest_nearby(one).distance
    back = MeshSurface(one, of_one).closest_nearby(other).distance
    return float(np.concatenate([there, back]).mean())


def at_true_depth(true: Solid, found: Solid, focal_px: float, principal_point: F64) -> Solid:
    """``found`` made larger or smaller about the camera, so that it looks the same at the true head's depth.

        z' = z · m / (m − d),   d = argmin Σ |z_true − z_found − d|,   m the mean of z_true

    over the pixels of a 256² picture that show both: the benchmark's only alignment, for scale is not seen. The sum's
    minimum is the median, which the benchmark searches for. The same where no pixel shows both. Camera space, OpenCV
    axes; focal length and principal point in pixels of that picture.
    """
    seen = [depth_map(solid, focal_px, principal_point) for solid in (true, found)]
    both = np.isfinite(seen[0]) & np.isfinite(seen[1])
    if not both.any():
        return found
    off, mean = float(np.median((seen[0] - seen[1])[both])), float(seen[0][both].mean())
    return found.moved(found.vertices * (mean / (mean - off)))


def depth_map(solid: Solid, focal_px: float, principal_point: F64) -> F64:
    """(256,256) z of what each pixel shows, NaN for nothing."""
    seen = rasterise(
        solid.vertices,
        solid.triangles,
        focal_px=focal_px,
        principal_point=principal_point,
        image_size=(SEEN_SIDE, SEEN_SIDE),
    )
    depth = np.einsum("ijk,ijk->ij", seen.barycentric, solid.vertices[:, 2][solid.triangles[seen.triangle]])
    return np.where(seen.covered, depth, np.nan)


FAR = 1e4
"""How many times a head's size a pinhole stands away that has no perspective to speak of."""


def at_true_depth_orthographic(true: Solid, found: Solid, half_side: float) -> Solid:
    """``found`` moved along z to the depth of the true head, both seen along −z without perspective.

    The picture shows x and y from −``half_side`` to ``half_side`` millimetres. Source: as ``at_true_depth``.
    """
    away = FAR * half_side
    cameras = [s.moved(s.vertices * [1, -1, -1] + [0, 0, away]) for s in (true, found)]
    focal = away * SEEN_SIDE / 2 / half_side
    middle = np.full(2, SEEN_SIDE / 2)
    seen = [depth_map(camera, focal, middle) for camera in cameras]
    both = np.isfinite(seen[0]) & np.isfinite(seen[1])
    off = float(np.median((seen[0] - seen[1])[both])) if both.any() else 0.0
    return found.moved(found.vertices - [0, 0, off])
