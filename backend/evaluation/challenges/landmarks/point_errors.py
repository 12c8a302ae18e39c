"""How far a tracked head lies from annotated iBUG-68 points, by the protocol of seeds/004 §3.

Inner 51 points: the mean of the points' distances ("the average RMSE error for the 51 inner landmarks between the
predictions of each model and the ground truth"). Boundary: "the average Euclidean distance from the 17 ground truth
silhouette landmarks to the nearest silhouette vertices". Overall: "Given that there are 17 boundary and 51 inner
landmarks in the 68-landmark annotation, we average the errors with a 1:3 weighting as the overall error." Normalised
"by the interoccular distance, which is defined as the distance between the outer points of the eyes".

Besides, all 68: the head's own 17 jaw points against the annotated jaw as a line, because points of a contour slide
along it (``jaw``), and against the annotated points one by one (``points``), as most tables of 300-W have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.mesh_landmarks import landmarks_px
from backend.evaluation.metrics.landmarks import (
    BOUNDARY_17,
    INNER_51,
    MeshEdges,
    boundary_error,
    inter_ocular_distance,
    jaw_line,
    overall_error,
    silhouette_edges,
)
from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]

RIGHT_EYE, LEFT_EYE = np.arange(36, 42), np.arange(42, 48)
Unit = Literal["inter-ocular", "inter-pupil"]
UNITS: tuple[Unit, ...] = ("inter-ocular", "inter-pupil")
MEASURES = ("inner", "boundary", "overall", "all68", "points68")
"""What is told of each picture: the inner 51, the boundary, both 1 : 3, all 68 with the jaw as a line, all 68."""
_INNER, _JAW = len(INNER_51), len(BOUNDARY_17)


@dataclass(frozen=True, eq=False)
class PointErrors:
    """Errors of N pictures in pixels, (N,) each, NaN where no face was tracked; and the units that they are told in.

    ``inner`` mean distance of the inner 51 points, ``boundary`` from the annotated jaw points to the head's outline,
    ``jaw`` from the head's jaw points to the annotated jaw line, ``jaw_points`` to the annotated points themselves.
    ``inter_ocular`` is the annotated distance of the outer eye corners, ``inter_pupil`` that of the eyes' middles
    (means of the six points of each eye, as 300-W's inter-pupil errors have it).
    """

    inner: F64
    boundary: F64
    jaw: F64
    jaw_points: F64
    inter_ocular: F64
    inter_pupil: F64

    @classmethod
    def joined(cls, parts: Sequence[PointErrors]) -> PointErrors:
        """All pictures of all parts, in order."""
        columns = ([getattr(part, item.name) for part in parts] for item in fields(cls))
        return cls(*(np.concatenate([*column, np.zeros(0)]) for column in columns))

    def record(self) -> dict[str, Any]:
        """The same as lists, for JSON; ``of_record`` reads it."""
        return {item.name: getattr(self, item.name).tolist() for item in fields(self)}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> PointErrors:
        """What ``record`` told; what is not finite is None there."""
        return cls(*(np.array(record[item.name], np.float64).reshape(-1) for item in fields(cls)))

    def measures(self, unit: Unit) -> dict[str, F64]:
        """``MEASURES`` (N,) as shares of the unit."""
        size = self.inter_ocular if unit == "inter-ocular" else self.inter_pupil
        told = {
            "inner": self.inner,
            "boundary": self.boundary,
            "overall": overall_error(self.inner, self.boundary),
            "all68": (_INNER * self.inner + _JAW * self.jaw) / (_INNER + _JAW),
            "points68": (_INNER * self.inner + _JAW * self.jaw_points) / (_INNER + _JAW),
        }
        return {name: error / size for name, error in told.items()}


def point_errors(
    truth: F64, mesh: MeshSequence, frames: NDArray[np.integer[Any]], skin: NDArray[np.bool_] | None = None
) -> PointErrors:
    """Errors of ``mesh`` in ``frames (N,)`` from the annotated ``truth (N,68,2)``, pixels.

    ``skin (V,)`` are the vertices whose silhouette is the face's outline, see ``Tracker.outline``. Frames outside the
    mesh, or in which it is not tracked, count as lost. Raises ValueError where it does not know its 68 landmarks.
    """
    truth = np.asarray(truth, np.float64)
    errors = lost(truth)
    inside = (frames >= 0) & (frames < mesh.frame_count)
    inside &= mesh.tracked[np.where(inside, frames, 0)]
    if not inside.any():
        return errors
    found = np.full_like(truth, np.nan)
    found[inside] = landmarks_px(mesh)[frames[inside]]
    distance = np.linalg.norm(found - truth, axis=2)
    errors.inner[:] = distance[:, INNER_51].mean(axis=1)
    errors.jaw_points[:] = distance[:, BOUNDARY_17].mean(axis=1)
    edges = MeshEdges.of(mesh.triangles)
    for n in np.flatnonzero(inside):
        errors.jaw[n] = boundary_error(found[n, BOUNDARY_17], jaw_line(truth[n]), 1.0)
        seen = outline(mesh, edges, int(frames[n]), found[n], skin)
        errors.boundary[n] = boundary_error(truth[n, BOUNDARY_17], seen, 1.0)
    return errors


def lost(truth: F64) -> PointErrors:
    """The errors of pictures in which no face was tracked at all."""
    eyes = truth[:, RIGHT_EYE].mean(axis=1) - truth[:, LEFT_EYE].mean(axis=1)
    inner, boundary, jaw, points = np.full((4, len(truth)), np.nan)
    return PointErrors(inner, boundary, jaw, points, inter_ocular_distance(truth), np.linalg.norm(eyes, axis=1))


def outline(mesh: MeshSequence, edges: MeshEdges, frame: int, landmarks: F64, skin: NDArray[np.bool_] | None) -> F64:
    """Edges (m,2,2) in pixels of a face's outline: its silhouette, and the jaw's line as far as it faces the camera.

    ``landmarks (68,2)`` are the head's own in this frame. A head whose chin is turned to the camera has no silhouette
    there (``jaw_line``); on a turned head the far half of that line lies hidden behind the silhouette.
    """
    vertices, focal = mesh.vertices[frame].astype(np.float64), float(mesh.focal_px[frame])
    silhouette = silhouette_edges(
        vertices, mesh.triangles, focal_px=focal, principal_point=mesh.principal_point, allowed=skin, edges=edges
    )
    seen = _jaw_facing(mesh, vertices)
    return np.concatenate([silhouette, jaw_line(landmarks)[seen[:-1] & seen[1:]]])


def _jaw_facing(mesh: MeshSequence, vertices: F64) -> NDArray[np.bool_]:
    """(17,) True of the jaw points whose skin faces the camera."""
    if mesh.landmarks68 is None:
        raise ValueError("the mesh does not know its 68 landmarks")
    corners = vertices[mesh.triangles[mesh.landmarks68[0][BOUNDARY_17]]]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(np.einsum("fc,fc->f", normal, corners[:, 0]) < 0)
