"""Where a tracked head has annotated marks: bound to its surface in one frame, looked for in all others.

seeds/003 §4: accuracy is the "average 2D landmark reprojection error": "a 3D point corresponding to a 2D landmark is
projected into 2D, and then the Euclidean distance between the reprojected point and ground truth 2D point is computed";
how that 3D point is found it does not say. Here it is what the head shows at the mark in the frame where it is bound,
which therefore is not counted. Stability is its eq. 10.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.challenges.landmarks.take_marks import TakeMarks
from backend.evaluation.marks.bind import bind, project
from backend.evaluation.mesh_landmarks import OUTER_EYE_CORNERS, landmarks_px
from backend.evaluation.metrics.stability import temporal_stability
from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]


def reprojection_errors(
    mesh: MeshSequence, numbers: NDArray[np.int64], marks: TakeMarks, bound_in: int | None = None
) -> F64:
    """(K,F) pixels between each mark as it is set and as the head has it, in the F frames of ``marks``.

    ``numbers (T,)`` are the footage frames of the mesh. Each mark is bound in the first frame in which it is set, or in
    ``bound_in`` where it is set there. NaN where it is not set, where it is bound, where the head is lost, and
    everywhere for a mark that the head does not cover.
    """
    known = np.isfinite(marks.seen[..., 0])
    start = known.argmax(axis=1)
    if bound_in is not None:
        place = int(np.flatnonzero(marks.frames == bound_in)[0])
        start = np.where(known[:, place], place, start)
    at = np.searchsorted(numbers, marks.frames)
    there = (at < len(numbers)) & (numbers[np.minimum(at, len(numbers) - 1)] == marks.frames)
    errors = np.full(known.shape, np.nan)
    for first in np.unique(start[there[start]]):
        which = np.flatnonzero(start == first)
        points = bind(mesh, int(at[first]), marks.seen[which, first])
        errors[np.ix_(which, there)] = np.linalg.norm(
            project(mesh, points, at[there]) - marks.seen[np.ix_(which, there)], axis=2
        )
    errors[np.arange(len(errors)), start] = np.nan
    return errors


def take_figures(mesh: MeshSequence, errors: F64, marks: TakeMarks, skin: NDArray[np.bool_]) -> dict[str, Any]:
    """A take's figures: errors in pixels and in % of the inter-ocular distance, and the stability of ``skin (V,)``.

    The inter-ocular distance is the median of the head's own, between its outer eye corners in the picture. ``bound``
    counts the marks that the head covers, ``lost`` the places of these in frames in which it was not tracked.
    """
    corners = landmarks_px(mesh)[mesh.tracked][:, OUTER_EYE_CORNERS]
    unit = float(np.median(np.linalg.norm(corners[:, 0] - corners[:, 1], axis=1)))
    known = np.isfinite(errors)
    bound = known.any(axis=1)
    told = errors[known]
    places = np.isfinite(marks.seen[..., 0]).sum(axis=1) - 1
    return {
        "marks": len(marks.names),
        "bound": int(bound.sum()),
        "unbound": [name for name, held in zip(marks.names, bound, strict=True) if not held],
        "places": int(places.sum()),
        "lost": int(places[bound].sum() - len(told)),
        "inter_ocular_px": unit,
        "error_px": float(told.mean()) if len(told) else None,
        "error_percent": float(told.mean()) / unit * 100 if len(told) else None,
        "median_percent": float(np.median(told)) / unit * 100 if len(told) else None,
        "p90_percent": float(np.percentile(told, 90)) / unit * 100 if len(told) else None,
        "by_mark_percent": {
            name: float(row[np.isfinite(row)].mean()) / unit * 100 if np.isfinite(row).any() else None
            for name, row in zip(marks.names, errors, strict=True)
        },
        "stability": temporal_stability(mesh.vertices[:, skin], mesh.tracked).mean if mesh.frame_count > 2 else None,
    }
