"""The report of a job: what was measured while a take was tracked."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.pipeline.shots import shots_report
from protocol.messages import TrackJob

if TYPE_CHECKING:
    from backend.fitting import FitResult
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView
    from backend.pipeline.result import Timeline


PACKAGES = ("flowface", "torch", "ai-edge-litert", "av", "numpy")


def make_report(
    spec: TrackJob,
    head: HeadModel,
    views: Sequence[AlignedView],
    fit: FitResult,
    seconds: Mapping[str, float],
    warnings: Sequence[str] = (),
    timeline: Timeline | None = None,
) -> dict[str, Any]:
    """A take's facts worth knowing, as plain values for report.json. ``warnings`` are sentences for users;
    ``timeline`` is the take's where it is not the first view's."""
    first = views[0].alignment
    numbers = first.numbers if timeline is None else timeline.numbers
    frames = len(numbers)
    error = fit.reprojection_error_percent_iod
    return {
        "footage": spec.views[0].footage,
        "image_size": list(first.image_size),
        "frames": frames,
        "first_frame": int(numbers[0]),
        "last_frame": int(numbers[-1]),
        "frames_tracked": int(fit.tracked.sum()),
        "frames_unreadable": sum(view.unreadable for view in views),
        "faces_seen": max(view.alignment.most_faces for view in views),
        "face_chosen_by": (spec.views[0].face or spec.face).kind,
        "reprojection_error_percent_iod": _summary(error),
        "uncertainty_mm": _rounded(np.nanmean(fit.uncertainty_mm) if np.isfinite(fit.uncertainty_mm).any() else None),
        "focal_px": round(fit.cameras[0].focal_px, 3),
        "views": [_view_report(index, view, fit, spec.options.focal_px) for index, view in enumerate(views)],
        "metric_cameras": spec.metric_cameras,
        "deformation_mm": round(1000 * float(np.linalg.norm(fit.deformation, axis=1).max(initial=0.0)), 3),
        "seconds": {key: round(seconds[key], 4) for key in ("decode", "align", "fit", "total")},
        "frames_per_second": round(frames * len(views) / seconds["total"], 2),
        "fit_iterations": fit.iterations,
        "head": head.id,
        "aligner": first.aligner,
        "options": spec.options.to_plain(),
        "warnings": list(warnings),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
    }


def _view_report(index: int, view: AlignedView, fit: FitResult, focal_px: float | None) -> dict[str, Any]:
    """One view's facts; ``focal_px`` is the job's for views whose camera is not known."""
    camera = view.opened.camera
    seen = np.isfinite(fit.reprojection_error_px[index]).any(axis=1)
    return {
        "name": view.opened.spec.name,
        "footage": view.opened.spec.footage,
        "offset": view.opened.spec.offset,
        "frame_rate": round(view.opened.rate, 4),
        "frames_seen": int(seen.sum()),
        "frames_unreadable": view.unreadable,
        "faces_seen": view.alignment.most_faces,
        "shots": shots_report(view.alignment),
        "reprojection_error_percent_iod": _summary(fit.reprojection_error_percent_iod[index]),
        "focal_px": round(fit.cameras[index].focal_px, 3),
        "focal_known": view.opened.focal_source(focal_px) in ("calibration", "given"),
        "focal_from": view.opened.focal_source(focal_px),
        "exif_focal": None if view.opened.exif is None else view.opened.exif.says,
        "principal_point": [round(value, 3) for value in fit.cameras[index].principal_point],
        "position_known": camera is not None and camera.world_to_camera is not None,
    }


def _summary(error: NDArray[np.floating[Any]]) -> dict[str, float | None]:
    error = error[np.isfinite(error)]
    if not len(error):
        return {"mean": None, "p95": None}
    return {"mean": _rounded(error.mean()), "p95": _rounded(np.percentile(error, 95))}


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)
