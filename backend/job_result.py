"""What a finished job leaves behind: the track and the report of a fitted take."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.track import CameraTrack, Track
from protocol.messages import JobSpec

if TYPE_CHECKING:
    from backend.fitting import FitResult
    from backend.head_model.model import HeadModel
    from backend.job_views import AlignedView

F32 = NDArray[np.float32]

PACKAGES = ("flowface", "torch", "mediapipe", "av", "numpy")


def make_track(head: HeadModel, views: Sequence[AlignedView], fit: FitResult, report: Mapping[str, Any]) -> Track:
    """The track of a fitted take; ``head`` is the one it was fitted with, ``views`` are in the order of its cameras."""
    from backend.head_model.action_weights import solve_action_weights
    from backend.head_model.model import ARKIT_ACTIONS, actions_of

    first = views[0].alignment
    has_actions = bool(actions_of(head)[0])
    frames = len(first.numbers)
    actions = solve_action_weights(head, fit.expression, fit.gaze) if has_actions else np.zeros((frames, 0), np.float32)
    deformed = bool(np.any(fit.deformation))
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=fit.identity.astype(np.float32),
        expression=fit.expression.astype(np.float32),
        head_rotation=Rotation.from_matrix(fit.head_rotation).as_rotvec(),
        head_translation=fit.head_translation,
        gaze=fit.gaze.astype(np.float32),
        cameras=tuple(_camera(index, views, fit) for index in range(len(views))),
        frames=first.numbers,
        scene_frames=first.scene_frames,
        times=views[0].opened.seconds(first.times),
        frame_rate=views[0].opened.rate,
        tracked=fit.tracked,
        reprojection_error_percent_iod=_mean(fit.reprojection_error_percent_iod, (0, 2), fit.tracked),
        provenance={key: report[key] for key in ("versions", "aligner", "seconds", "options", "metric_cameras")},
        deformation=fit.deformation.astype(np.float32) if deformed else np.zeros((0, 3), np.float32),
        action_names=ARKIT_ACTIONS if has_actions else (),
        actions=actions,
        uncertainty_mm=fit.uncertainty_mm.astype(np.float32),
        expression_sigma=fit.expression_sigma.astype(np.float32),
    )


def _camera(index: int, views: Sequence[AlignedView], fit: FitResult) -> CameraTrack:
    view, fitted = views[index], fit.cameras[index]
    info, lens = view.opened.info, view.opened.lens
    frames = len(view.index)
    return CameraTrack(
        name=view.opened.spec.name,
        footage=str(info.path),
        footage_kind=info.kind,
        footage_first_frame=info.first_frame if index == 0 else first_scene_frame(views[0], view),
        footage_frame_count=info.frame_count,
        footage_rotation=info.rotation,
        image_size=view.alignment.image_size,
        focal_px=np.full(frames, fitted.focal_px),
        principal_point=np.array(fitted.principal_point, np.float64),
        world_to_camera=np.repeat(fitted.world_to_camera[None].astype(np.float64), frames, axis=0),
        reprojection_error_percent_iod=_mean(fit.reprojection_error_percent_iod[index], (1,)),
        footage_frames=view.footage_frames,
        focal_ratio=lens.focal_ratio if lens else 1.0,
        distortion=lens.coefficients if lens else (),
    )


def first_scene_frame(first: AlignedView, view: AlignedView) -> int:
    """The scene frame on which a view's first image shows, rounded: its clip starts there in Blender.

    Read off the frames that were matched where both play at one rate, so that clip and keys agree to the frame;
    reckoned from the offset where they do not.
    """
    seen = view.index >= 0
    if abs(view.opened.rate - first.opened.rate) < 1e-3 * first.opened.rate and first.opened.info.kind != "still":
        starts = first.alignment.scene_frames[seen] - (view.footage_frames[seen] - view.opened.info.first_frame)
        return round(float(np.median(starts)))
    return round(first.opened.info.first_frame - view.opened.spec.offset * first.opened.rate)


def make_report(
    spec: JobSpec,
    head: HeadModel,
    views: Sequence[AlignedView],
    fit: FitResult,
    seconds: Mapping[str, float],
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """What is worth knowing about a take, as plain values for report.json. ``notes`` are sentences for users."""
    first = views[0].alignment
    frames = len(first.numbers)
    error = fit.reprojection_error_percent_iod
    return {
        "footage": spec.views[0].footage,
        "image_size": list(first.image_size),
        "frames": frames,
        "first_frame": int(first.numbers[0]),
        "last_frame": int(first.numbers[-1]),
        "frames_tracked": int(fit.tracked.sum()),
        "frames_unreadable": sum(len(view.opened.footage.skipped) for view in views),
        "faces_seen": max(view.alignment.faces_seen for view in views),
        "reprojection_error_percent_iod": _summary(error),
        "uncertainty_mm": _rounded(np.nanmean(fit.uncertainty_mm) if np.isfinite(fit.uncertainty_mm).any() else None),
        "focal_px": round(fit.cameras[0].focal_px, 3),
        "views": [_view_report(index, view, fit) for index, view in enumerate(views)],
        "metric_cameras": spec.metric_cameras,
        "deformation_mm": round(1000 * float(np.linalg.norm(fit.deformation, axis=1).max(initial=0.0)), 3),
        "seconds": {key: round(seconds[key], 4) for key in ("decode", "align", "fit", "total")},
        "frames_per_second": round(frames * len(views) / seconds["total"], 2),
        "fit_iterations": fit.iterations,
        "head": head.id,
        "aligner": first.aligner,
        "options": dict(spec.options),
        "notes": list(notes),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
    }


def _view_report(index: int, view: AlignedView, fit: FitResult) -> dict[str, Any]:
    camera = view.opened.camera
    seen = np.isfinite(fit.reprojection_error_px[index]).any(axis=1)
    return {
        "name": view.opened.spec.name,
        "footage": view.opened.spec.footage,
        "offset": view.opened.spec.offset,
        "frame_rate": round(view.opened.rate, 4),
        "frames_seen": int(seen.sum()),
        "frames_unreadable": len(view.opened.footage.skipped),
        "faces_seen": view.alignment.faces_seen,
        "reprojection_error_percent_iod": _summary(fit.reprojection_error_percent_iod[index]),
        "focal_px": round(fit.cameras[index].focal_px, 3),
        "focal_known": camera is not None and camera.focal_px is not None,
        "position_known": camera is not None and camera.world_to_camera is not None,
    }


def _summary(error: NDArray[np.floating[Any]]) -> dict[str, float | None]:
    error = error[np.isfinite(error)]
    if not len(error):
        return {"mean": None, "p95": None}
    return {"mean": _rounded(error.mean()), "p95": _rounded(np.percentile(error, 95))}


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)


def _mean(error: NDArray[np.floating[Any]], axis: tuple[int, ...], wanted: NDArray[np.bool_] | bool = True) -> F32:
    """Means over ``axis`` of what is finite; NaN where nothing is or where it is not wanted."""
    seen = np.isfinite(error)
    count = seen.sum(axis=axis)
    total = np.where(seen, error, 0.0).sum(axis=axis)
    return np.where(wanted & (count > 0), total / np.maximum(count, 1), np.nan).astype(np.float32)
