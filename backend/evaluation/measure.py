"""The measurement of one tracker on one rendered sequence: every metric, as the plain numbers that tables show."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark import Truth, load_truth_full
from backend.evaluation.mesh_landmarks import NOSE_BASE, landmarks_px
from backend.evaluation.metrics.chamfer import AlignedFrame, align_frames, chamfer, keypoints7, neutral_only
from backend.evaluation.metrics.landmarks import INNER_51, normalised_mean_error
from backend.evaluation.metrics.lips import lip_points, lip_vertex_error
from backend.evaluation.metrics.normals import normal_error
from backend.evaluation.metrics.pose import focal_error, head_rotations, rotation_error
from backend.evaluation.metrics.rigid_alignment import KEYPOINTS7
from backend.evaluation.metrics.ssme import ssme
from backend.evaluation.metrics.stability import temporal_stability
from backend.evaluation.outside import seen_from_outside
from backend.evaluation.real_data import STABILITY_RESOLUTION
from backend.evaluation.scan import FACE_RADIUS
from backend.evaluation.types import REGIONS, MeshSequence

HORIZONS = 30
QUANTILES = np.linspace(0.005, 0.995, 100)
"""The quantiles of a run's distances that stand for their distribution in the cumulative curve."""


def measure(
    truth: Truth,
    predicted: MeshSequence,
    shape: MeshSequence,
    *,
    metrical: bool,
    without: Collection[str] = (),
    ssme_stride: int = 2,
    shape_every: int = 10,
) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Every figure of a run, and per-vertex errors of the true head (V,): ``ssme`` in pixels and ``cd`` in mm.

    ``shape`` is ``comparable(truth.mesh)``, which is worth making once. ``metrical``: whether the tracker's meshes
    claim true metres; without, what needs them is None. Chamfer distances,
    normals and lips are compared after an alignment that may scale (``cd_metrical_mm`` after one that may not), in
    every ``shape_every``-th frame, as shapes change slowly and closest points are dear; motion in every
    ``ssme_stride``-th pixel of every such row. Regions named in ``without``, which the mesh lacks, get no figures.
    Raises UserError ``bad_results`` where the prediction is of another length or image size.
    """
    mesh = truth.mesh
    if predicted.frame_count != mesh.frame_count or predicted.image_size != mesh.image_size:
        raise UserError(
            ErrorCode.BAD_RESULTS,
            f"A result has {predicted.frame_count} frames of {predicted.image_size}, but its sequence "
            f"{mesh.frame_count} of {mesh.image_size}.",
        )
    motion = ssme(mesh, predicted, horizons=min(HORIZONS, mesh.frame_count - 1), stride=ssme_stride)
    record: dict[str, Any] = {
        "frames": mesh.frame_count,
        "lost": int(np.sum(~predicted.tracked)),
        "ssme": dict(motion.mean),
        "ssme_h": {region: curve.tolist() for region, curve in motion.per_horizon.items()},
    }
    maps = {"ssme": motion.vertex_error}
    if predicted.landmarks68 is not None:
        record |= _landmark_figures(mesh, predicted)
        figures, maps["cd"] = _shape_figures(shape, predicted, every=shape_every, metrical=metrical)
        record |= figures
        lips = lip_vertex_error(*lip_points(shape, predicted, metrical=False, lips=truth.lips & shape.regions["mouth"]))
        record["lip_error_mm"] = lips.mean_mm
    turned = rotation_error(truth.head_rotation, head_rotations(predicted), predicted.tracked)
    record["rotation_error_deg"] = turned.aligned_mean
    if metrical:
        record["focal_ratio_error_percent"] = 100 * focal_error(mesh.focal_px, predicted.focal_px, predicted.tracked)
    for region in set(without) & set(mesh.regions):
        for figures in (value for value in record.values() if isinstance(value, dict)):
            figures.pop(region, None)
        for error in maps.values():
            error[mesh.regions[region]] = np.nan
    return record, maps


def comparable(truth: MeshSequence) -> MeshSequence:
    """The truth with its regions cut down to what shapes are compared on.

    A scan has only what is seen from outside: no backs of eyeballs, no insides of nose and mouth. So only vertices of
    triangles count that a picture of the neutral head from one of ``SIDES`` shows. The face ends ``FACE_RADIUS`` from
    the base of the nose.
    """
    if truth.neutral is None:
        raise ValueError("the truth has no neutral head")
    outside = seen_from_outside(truth.neutral, truth.triangles, truth.neutral[truth.regions["face"]].mean(axis=0))
    nose = keypoints7(neutral_only(truth), 0)[KEYPOINTS7.index(NOSE_BASE)]
    near = np.linalg.norm(truth.neutral - nose, axis=1) < FACE_RADIUS
    regions = {name: mask & outside for name, mask in truth.regions.items()}
    return replace(truth, regions=regions | {"face": regions["face"] & near})


class LazyTruth:
    """The truth in a file, read only where something has to be measured."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._truth: Truth | None = None
        self._shape: MeshSequence | None = None

    def get(self) -> Truth:
        """Raises UserError as ``load_truth_full`` does."""
        if self._truth is None:
            self._truth = load_truth_full(self._path)
        return self._truth

    def shape(self) -> MeshSequence:
        """The truth that shapes are compared with."""
        if self._shape is None:
            self._shape = comparable(self.get().mesh)
        return self._shape


def _landmark_figures(truth: MeshSequence, predicted: MeshSequence) -> dict[str, Any]:
    true, found = landmarks_px(truth), landmarks_px(predicted)
    found[~predicted.tracked] = np.nan
    error = 100 * normalised_mean_error(true, found, points=INNER_51, normaliser="box")
    seen = error[np.isfinite(error)]
    return {
        "landmark_nme_percent": float(seen.mean()) if len(seen) else None,
        "landmark_nme_frames": error.tolist(),
        "stability": temporal_stability(found, predicted.tracked, resolution=STABILITY_RESOLUTION).mean,
        "stability_of_truth": temporal_stability(true, resolution=STABILITY_RESOLUTION).mean,
    }


def _shape_figures(
    truth: MeshSequence, predicted: MeshSequence, *, every: int, metrical: bool
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    frames = range(0, truth.frame_count, every)
    aligned = align_frames(truth, predicted, metrical=False, frames=frames)
    distance = chamfer(truth, aligned)
    record: dict[str, Any] = {
        "cd_mm": {region: spread.mean for region, spread in distance.regions.items()},
        "cd_median_mm": {region: spread.median for region, spread in distance.regions.items()},
        "cd_face_quantiles_mm": _face_quantiles(truth, aligned),
        "normal_error_deg": normal_error(truth, predicted, aligned).regions["face"].mean if aligned else None,
    }
    if metrical:
        rigid = chamfer(truth, align_frames(truth, predicted, metrical=True, frames=frames))
        record["cd_metrical_mm"] = {region: spread.mean for region, spread in rigid.regions.items()}
    measured = np.any([truth.regions[name] for name in REGIONS], axis=0)
    return record, np.where(measured, distance.vertex_error, np.nan)


def _face_quantiles(truth: MeshSequence, aligned: list[AlignedFrame]) -> list[float]:
    if not aligned:
        return []
    distances = np.concatenate([a.closest.distance[truth.regions["face"]] for a in aligned]) * 1e3
    return np.quantile(distances, QUANTILES).tolist()
