"""Scan-to-mesh distance after the NoW challenge's alignment, per region (seeds/001 §3.4 and tables 2 and 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7, align_to_scan
from backend.evaluation.types import REGIONS, MeshSequence
from backend.head_model.rigid import Similarity
from backend.head_model.surface import ClosestPoints, MeshSurface

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Spread:
    """Mean, median and standard deviation of a region's values over all its vertices and frames; NaN without any."""

    mean: float
    median: float
    std: float


@dataclass(frozen=True, eq=False)
class AlignedFrame:
    """One frame's prediction on the truth.

    ``motion`` brings the predicted mesh into the truth's space; ``closest`` gives for each vertex of the truth (V,) the
    closest point of the predicted surface: ``position`` and ``distance`` in the truth's space, metres. A vertex in no
    region of the truth is not measured: triangle -1, NaN.
    """

    frame: int
    motion: Similarity
    closest: ClosestPoints


@dataclass(frozen=True, eq=False)
class ChamferResult:
    """Scan-to-mesh distance in mm: per region, and ``vertex_error (V,)`` each truth vertex's mean over the frames."""

    regions: Mapping[str, Spread]
    vertex_error: F64


def align_frames(
    truth: MeshSequence, predicted: MeshSequence, *, metrical: bool, frames: Iterable[int] | None = None
) -> list[AlignedFrame]:
    """Align the prediction to the truth in each of ``frames`` (all unless given) that both sequences have tracked.

    Each frame by itself: seven key points of both meshes' ``landmarks68``, then the truth's ``face`` region (all of
    its vertices where it names none). Raises ValueError where landmarks are missing or the lengths differ.
    """
    if truth.frame_count != predicted.frame_count:
        raise ValueError(f"the truth has {truth.frame_count} frames and the prediction {predicted.frame_count}")
    everything = np.ones(truth.vertices.shape[1], bool)
    face = truth.regions.get("face", everything)
    measured = np.any([*truth.regions.values()], axis=0) if truth.regions else everything
    used = truth.tracked & predicted.tracked & np.isfinite(predicted.vertices).any(axis=(1, 2))
    aligned = []
    for frame in range(truth.frame_count) if frames is None else frames:
        if not used[frame]:
            continue
        surface = MeshSurface(predicted.vertices[frame], predicted.triangles)
        scan = truth.vertices[frame].astype(np.float64)
        motion = align_to_scan(
            surface, keypoints7(predicted, frame), scan[face], keypoints7(truth, frame), metrical=metrical
        )
        found = surface.closest(motion.undo(scan[measured]))
        aligned.append(AlignedFrame(frame, motion, _in_truth_space(found, motion, measured)))
    return aligned


def chamfer(truth: MeshSequence, aligned: Sequence[AlignedFrame]) -> ChamferResult:
    """Mean, median and standard deviation over vertices and frames of the scan-to-mesh distance:

        CD = 1/|S| · Σ_{s ∈ S} min_{m ∈ M} ‖s − m‖₂

    with S the truth's vertices of a region and M the predicted surface (not only its vertices), after
    ``align_frames``. Source: seeds/001 §3.4, which follows the NoW challenge (Sanyal et al. 2019).
    """
    distances = np.array([a.closest.distance for a in aligned]).reshape(len(aligned), truth.vertices.shape[1]) * 1e3
    return ChamferResult(spread_by_region(truth, distances), mean_over_frames(distances))


def _in_truth_space(found: ClosestPoints, motion: Similarity, measured: NDArray[np.bool_]) -> ClosestPoints:
    """The closest points of the vertices that are ``measured (V,)``, moved to the truth, among all vertices."""
    count = len(measured)
    triangle, weights = np.full(count, -1, np.intp), np.zeros((count, 3))
    position, distance = np.full((count, 3), np.nan), np.full(count, np.nan)
    triangle[measured], weights[measured] = found.triangle, found.barycentric
    position[measured], distance[measured] = motion.apply(found.position), found.distance * motion.scale
    return ClosestPoints(triangle, weights, position, distance)


def neutral_only(sequence: MeshSequence) -> MeshSequence:
    """One frame that shows the sequence's neutral head, for NoW's own question: how well is the shape known?

    Raises ValueError where the sequence has no neutral head.
    """
    if sequence.neutral is None:
        raise ValueError("the sequence has no neutral head")
    return replace(
        sequence,
        vertices=np.asarray(sequence.neutral, np.float32)[None],
        focal_px=sequence.focal_px[:1],
        tracked=np.ones(1, bool),
    )


def keypoints7(sequence: MeshSequence, frame: int) -> F64:
    """(7,3) NoW's key points on one frame's mesh. Raises ValueError without ``landmarks68``."""
    if sequence.landmarks68 is None:
        raise ValueError("the alignment needs the mesh's 68 landmarks")
    triangle, barycentric = (array[list(KEYPOINTS7)] for array in sequence.landmarks68)
    corners = sequence.vertices[frame].astype(np.float64)[sequence.triangles[triangle]]
    return np.einsum("nk,nkc->nc", barycentric, corners)


def spread_by_region(truth: MeshSequence, values: F64) -> dict[str, Spread]:
    """Statistics of ``values (frames, V)`` over each region of the truth, values that are not finite left out."""
    result = {}
    for name in REGIONS:
        if name not in truth.regions:
            continue
        inside = values[:, truth.regions[name]]
        inside = inside[np.isfinite(inside)]
        empty = not inside.size
        numbers = [float("nan")] * 3 if empty else [float(f(inside)) for f in (np.mean, np.median, np.std)]
        result[name] = Spread(*numbers)
    return result


def mean_over_frames(values: F64) -> F64:
    """(V,) mean of ``values (frames, V)`` over the frames where they are finite; NaN where there is none."""
    finite = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(finite, values, 0.0).sum(axis=0) / finite.sum(axis=0)
