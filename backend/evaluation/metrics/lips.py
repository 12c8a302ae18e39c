"""Lip vertex error (seeds/000 H.4): how far the worst point of the lips is off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.metrics.chamfer import keypoints7, neutral_only
from backend.evaluation.metrics.rigid_alignment import align_to_scan
from backend.evaluation.types import MeshSequence
from backend.head_model.render import vertex_normals
from backend.head_model.rigid import similarity_between
from backend.head_model.surface import MeshSurface

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LipError:
    """``mean_mm``: mean over frames of ``per_frame_mm (T,)``, the largest distance among the lips' vertices.

    ``mean_squared_m2``: the same with squared distances in m², which is what the published VOCASET numbers (3·10⁻⁵)
    must be: as plain distances in metres they would be hundredths of a millimetre.
    """

    mean_mm: float
    mean_squared_m2: float
    per_frame_mm: F64


def lip_vertex_error(truth: NDArray[np.floating[Any]], predicted: NDArray[np.floating[Any]]) -> LipError:
    """Maximal L2 error of all lip vertices of a frame, averaged over the frames (seeds/000 H.4):

        LVE = 1/T · Σ_t max_i ‖x_{t,i} − x̂_{t,i}‖₂

    ``truth`` and ``predicted (T,N,3)`` are corresponding points in metres, head motion taken out (``lip_points``).
    Frames with a NaN do not count. Raises ValueError where the shapes differ or there is no point.
    """
    if truth.shape != predicted.shape or not truth.shape[1]:
        raise ValueError(f"lips of shape {truth.shape} and {predicted.shape} cannot be compared")
    worst = np.linalg.norm(np.asarray(truth, np.float64) - np.asarray(predicted, np.float64), axis=-1).max(axis=1)
    known = worst[np.isfinite(worst)]
    if not len(known):
        return LipError(float("nan"), float("nan"), worst * 1e3)
    return LipError(float(known.mean() * 1e3), float((known**2).mean()), worst * 1e3)


def lip_points(
    truth: MeshSequence, predicted: MeshSequence, *, metrical: bool, lips: NDArray[np.bool_] | None = None
) -> tuple[F64, F64]:
    """The truth's lip vertices and the same points of the prediction, (T,N,3) each, in the truth's camera space.

    VOCASET's heads share one topology and do not move; here both differ, so: on the neutral heads (or, where one of
    them is not known, on the first frame that both track), aligned as for the chamfer distance, each vertex of the
    truth's face is given the closest point of the predicted surface that faces the same way (so an upper lip never
    takes a lower one). Those points are followed, and in each frame the prediction is brought onto the truth by the
    points of the face outside the mouth (rigidly, or by a similarity unless ``metrical``). ``lips (V,)`` defaults to
    the truth's region ``lips``, or ``mouth``. Frames that are not tracked are NaN. Raises ValueError where landmarks or
    regions are missing, or nothing is tracked.
    """
    if "face" not in truth.regions or "mouth" not in truth.regions:
        raise ValueError("the truth must name the regions face and mouth")
    lips = truth.regions.get("lips", truth.regions["mouth"]) if lips is None else lips
    anchors = truth.regions["face"] & ~truth.regions["mouth"] & ~lips
    used = truth.tracked & predicted.tracked & np.isfinite(predicted.vertices).all(axis=(1, 2))
    if not used.any():
        raise ValueError("no frame is tracked in both sequences")
    chosen = np.flatnonzero(lips | anchors)
    triangle, barycentric = _correspondence(truth, predicted, chosen, int(np.flatnonzero(used)[0]), metrical=metrical)
    found = triangle >= 0
    chosen, triangle, barycentric = chosen[found], triangle[found], barycentric[found]
    is_lip, is_anchor = lips[chosen], anchors[chosen]
    true_lips = np.full((truth.frame_count, int(is_lip.sum()), 3), np.nan)
    predicted_lips = true_lips.copy()
    for t in np.flatnonzero(used):
        true_points = truth.vertices[t, chosen].astype(np.float64)
        corners = predicted.vertices[t].astype(np.float64)[predicted.triangles[triangle]]
        points = np.einsum("nk,nkc->nc", barycentric, corners)
        motion = similarity_between(points[is_anchor], true_points[is_anchor], scaled=not metrical)
        true_lips[t], predicted_lips[t] = true_points[is_lip], motion.apply(points[is_lip])
    return true_lips, predicted_lips


def _correspondence(
    truth: MeshSequence, predicted: MeshSequence, chosen: NDArray[np.intp], frame: int, *, metrical: bool
) -> tuple[NDArray[np.intp], F64]:
    """Triangle (N,), -1 for none, and barycentric (N,3) on the prediction of the truth's vertices ``chosen (N,)``."""
    if truth.neutral is not None and predicted.neutral is not None:
        truth, predicted, frame = neutral_only(truth), neutral_only(predicted), 0
    surface = MeshSurface(predicted.vertices[frame], predicted.triangles)
    scan = truth.vertices[frame].astype(np.float64)
    motion = align_to_scan(
        surface,
        keypoints7(predicted, frame),
        scan[truth.regions["face"]],
        keypoints7(truth, frame),
        metrical=metrical,
    )
    normals = vertex_normals(scan, truth.triangles)[chosen] @ motion.rotation
    closest = surface.closest(motion.undo(scan[chosen]), surface.facing(normals))
    return closest.triangle, closest.barycentric
