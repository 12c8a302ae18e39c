"""Measures a registration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.head_model.registration.atlas import Atlas, signed_areas
from backend.head_model.registration.correspondence import REACH, Correspondence
from backend.head_model.registration.parts import Parts
from backend.head_model.registration.types import RegistrationReport, SourceHead
from backend.head_model.rigid import nearest_rotation
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]

SETTLED = np.array(
    [1, 4, 5, 6, 168, 197, 195, 2, 98, 327, 33, 133, 263, 362, 159, 145, 386, 374, 160, 158, 153, 144, 385, 387, 373,
     380, 61, 291, 0, 17, 39, 269, 181, 405, 37, 267, 84, 314, 48, 278]
)  # fmt: skip
"""MediaPipe points that stay at one place of the surface in every view: nose, lids and lips; cheeks and oval slide."""


def measure(
    source: SourceHead,
    parts: Parts,
    open_head: HeadModel,
    match: Correspondence,
    atlas: Atlas,
    lid_gap_mm: float,
    seconds: float,
) -> RegistrationReport:
    """The figures of ``RegistrationReport``."""
    template = source.template.astype(np.float64)
    skin = MeshSurface(template, source.triangles, parts.inside("outer", source.triangles))
    face = open_head.regions["face"] & ~open_head.regions["mouth_bag"] & ~open_head.regions["eye_sockets"]
    distance = skin.closest_nearby(match.bent[face]).distance * 1e3
    apart = np.linalg.norm(match.mapped - match.found.position, axis=1)[SETTLED] * 1e3
    of_face = match.carried((open_head.regions["face"] | open_head.regions["ears"]).astype(np.float64), open_head) > 0.5
    near = match.foot.distance < REACH
    inside = of_face & parts["outer"]
    on_face = inside[source.triangles].all(axis=1) & near[source.triangles].all(axis=1)
    areas = signed_areas(atlas.uv_vertices[atlas.uv_triangles[on_face]])
    return RegistrationReport(
        surface_mean_mm=float(distance.mean()),
        surface_p95_mm=float(np.percentile(distance, 95)),
        landmark_mean_mm=float(np.nanmean(apart)),
        landmark_p95_mm=float(np.nanpercentile(apart, 95)),
        flipped_surface=_flipped_surface(open_head, match, face),
        flipped_atlas=float((areas < 0).mean()) if len(areas) else 1.0,
        corresponding=float(near[inside].mean()) if inside.any() else 0.0,
        lid_gap_mm=lid_gap_mm,
        seconds=seconds,
    )


def _flipped_surface(open_head: HeadModel, match: Correspondence, face: NDArray[np.bool_]) -> float:
    """Share of the open head's face triangles that look the other way after bending, as its own rotation has them."""
    triangles = open_head.triangles[face[open_head.triangles].all(axis=1)]
    before = _normals(open_head.template.astype(np.float64)[triangles])
    after = _normals(match.bent[triangles])
    turned = before @ nearest_rotation(after.T @ before).T
    return float(((turned * after).sum(axis=1) < 0).mean())


def _normals(corners: F64) -> F64:
    return np.asarray(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
