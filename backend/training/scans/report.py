"""How well the open head lies on a scan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import BoolArray, HeadModel, SurfacePoints, surface_positions
from backend.head_model.registration.atlas import canonical_atlas, signed_areas
from backend.head_model.registration.correspondence import REACH
from backend.head_model.registration.parts import Parts
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface
from backend.training.scans.folds import turned_over
from backend.training.scans.hidden import seen_from_outside
from backend.training.scans.mesh import ScanMesh

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class ScanReport:
    """Distances in millimetres, on the face.

    ``surface_*``: from the registered vertices to the scan; ``scan_*``: from the scan's vertices to the registered
    surface, of those within 3 mm that some view shows: nostrils and the depth between lips are another matter.
    ``turned``: triangles of face and ears that look away from where the fitted start had them look.
    ``flipped_atlas``: share of those scan vertices' triangles that turn over when they are laid out in the canonical
    atlas.
    """

    surface_mean_mm: float
    surface_p95_mm: float
    scan_mean_mm: float
    scan_p95_mm: float
    landmark_mean_mm: float
    turned: int
    flipped_atlas: float
    known: float  # share of face and ears that lies on the scan
    seconds: float = 0.0

    def taking(self, seconds: float) -> ScanReport:
        """The same with the time it took."""
        return replace(self, seconds=seconds)


def measured(
    head: HeadModel,
    parts: Parts,
    start: F64,
    vertices: F64,
    scan: ScanMesh,
    on: SurfacePoints,
    wanted: F64,
    known: BoolArray,
    turn: F64,
) -> ScanReport:
    """The figures of a registration; all in metres, ``turn (3,3)`` the head's from the open head's frame."""
    target = MeshSurface(scan.vertices, scan.triangles)
    face, ears = head.regions["face"], head.regions["ears"]
    away = target.closest_nearby(vertices[face], vertex_normals(vertices, head.triangles)[face]).distance * 1e3
    surface = MeshSurface(vertices, head.triangles, parts.inside("outer", head.triangles))
    foot = surface.closest_nearby(scan.vertices, vertex_normals(scan.vertices, scan.triangles))
    on_face = (foot.of(face.astype(np.float64), head.triangles) > 0.99) & (foot.distance < REACH)
    if on_face.any():
        on_face &= seen_from_outside(scan.vertices, scan.triangles, on_face, turn)
    back = foot.distance[on_face] * 1e3 if on_face.any() else np.full(1, np.inf)
    chosen = (face | ears)[head.triangles].all(axis=1)
    atlas = canonical_atlas(scan.vertices, scan.triangles, foot, head, vertices)
    laid = on_face[scan.triangles].all(axis=1)
    areas = signed_areas(atlas.uv_vertices[atlas.uv_triangles[laid]])
    marks = surface_positions(on, head.triangles, vertices)
    return ScanReport(
        surface_mean_mm=float(away.mean()),
        surface_p95_mm=float(np.percentile(away, 95)),
        scan_mean_mm=float(back.mean()),
        scan_p95_mm=float(np.percentile(back, 95)),
        landmark_mean_mm=float(np.linalg.norm(marks - wanted, axis=1).mean() * 1e3),
        turned=int(turned_over(start, vertices, head.triangles)[chosen].sum()),
        flipped_atlas=float((areas < 0).mean()) if len(areas) else 1.0,
        known=float(known[(face | ears) & parts["outer"]].mean()),
    )
