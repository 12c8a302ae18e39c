"""The work of a job: footage → alignment → fit → track and report.

Importing this module is cheap; ``warm_up`` loads what the work needs (torch, MediaPipe), which takes seconds.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment_io import AlignmentChunks, save_alignment
from backend.errors import UserError
from backend.files import write_atomic
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track import CameraTrack, Track
from backend.track_io import save_track
from protocol.messages import FaceChoice, JobSpec

if TYPE_CHECKING:
    from backend.alignment.choice import FaceChoice as AlignerChoice
    from backend.alignment.face_finder import FaceFinder
    from backend.alignment.take import TakeAlignment
    from backend.alignment.types import Aligner
    from backend.fitting import FitOptions, FitResult
    from backend.footage import Footage, FootageInfo
    from backend.head_model.model import HeadModel

ALIGN_SHARE = 0.35  # of the progress bar; the fit takes the rest (measured on CPU: a quarter to a half)
PACKAGES = ("flowface", "torch", "mediapipe", "av", "numpy")
OPTIONS = ("focal_px",)


def warm_up() -> str:
    """Load and try everything that a job needs; returns the device that fits run on, in words."""
    import torch

    from backend.fitting.fit import choose_device
    from backend.head_model.library import load_head

    grey = np.full((256, 256, 3), 128, np.uint8)
    find_aligner("mediapipe")
    _finder().find(grey)
    load_head()
    device = choose_device("auto")
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def run_job(
    spec: JobSpec, job_dir: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Track, dict[str, Any]]:
    """Track a take; writes alignments.npz, track.npz and report.json into ``job_dir`` and returns the last two.

    ``seconds`` in the report: ``decode`` and ``align`` are busy times that overlap each other, ``fit`` the solver,
    ``total`` the time from the first decoded frame to the fitted track; reading heads and writing files are outside.

    Raises:
        UserError: footage, face choice, head or options that cannot be used.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.alignment.take import align_footage
    from backend.fitting import Observations, fit_take
    from backend.footage import open_footage
    from backend.head_model.library import load_head

    on_progress(JobProgress("opening the footage", 0.0))
    if len(spec.views) != 1:
        raise UserError("several_views", f"{len(spec.views)} views were given; a take has one camera so far.")
    footage = open_footage(spec.views[0].footage, spec.frames)
    options = _fit_options(spec.options)
    aligner = find_aligner(spec.aligner)
    head = load_head(spec.head)
    chunks = AlignmentChunks(job_dir / "alignments")

    started = time.perf_counter()
    alignment = align_footage(
        footage,
        aligner,
        _choice(spec.face),
        on_frame=chunks.add,
        on_progress=_aligning(on_progress),
        should_cancel=should_cancel,
        finder=_finder(),
    )
    fit_started = time.perf_counter()
    observed = Observations(
        alignment.landmarks,
        alignment.mu,
        alignment.sigma,
        alignment.valid,
        alignment.image_size,
        _mean_rate(alignment.times),
    )
    fit = fit_take(head, observed, options, on_progress=_fitting(on_progress), should_cancel=should_cancel)
    ended = time.perf_counter()
    on_progress(JobProgress("writing the result", 0.99))
    seconds = {**alignment.seconds, "fit": ended - fit_started, "total": ended - started}
    report = make_report(spec, head, footage, alignment, fit, seconds)
    track = make_track(spec, head, footage.info, alignment, fit, report)
    chunks.flush()
    save_alignment(chunks.read(), job_dir / "alignments.npz")
    save_track(track, job_dir / "track.npz")
    write_atomic(job_dir / "report.json", json.dumps(report, indent=1, ensure_ascii=False).encode())
    chunks.remove()
    return track, report


def make_track(
    spec: JobSpec,
    head: HeadModel,
    info: FootageInfo,
    alignment: TakeAlignment,
    fit: FitResult,
    report: Mapping[str, Any],
) -> Track:
    """The track of a fitted take of one view, whose world is that view's camera space."""
    from scipy.spatial.transform import Rotation

    frames = len(alignment.numbers)
    still = np.concatenate([np.eye(3), np.zeros((3, 1))], axis=1)
    camera = CameraTrack(
        name=spec.views[0].name,
        footage=str(info.path),
        footage_kind=info.kind,
        footage_first_frame=info.first_frame,
        footage_frame_count=info.frame_count,
        footage_rotation=info.rotation,
        image_size=alignment.image_size,
        focal_px=np.full(frames, fit.focal_px),
        principal_point=np.array(fit.principal_point, np.float64),
        world_to_camera=np.broadcast_to(still, (frames, 3, 4)).copy(),
    )
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=fit.identity.astype(np.float32),
        expression=fit.expression.astype(np.float32),
        head_rotation=Rotation.from_matrix(fit.head_rotation).as_rotvec(),
        head_translation=fit.head_translation,
        gaze=fit.gaze.astype(np.float32),
        cameras=(camera,),
        frames=alignment.numbers,
        scene_frames=alignment.scene_frames,
        times=alignment.times,
        frame_rate=info.frame_rate,
        tracked=fit.tracked,
        reprojection_error_percent_iod=_frame_errors(fit),
        provenance={key: report[key] for key in ("versions", "aligner", "seconds", "options")},
    )


def make_report(
    spec: JobSpec,
    head: HeadModel,
    footage: Footage,
    alignment: TakeAlignment,
    fit: FitResult,
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """What is worth knowing about a take, as plain values: what report.json holds."""
    error = fit.reprojection_error_percent_iod
    error = error[np.isfinite(error)]
    frames = len(alignment.numbers)
    return {
        "footage": spec.views[0].footage,
        "image_size": list(alignment.image_size),
        "frames": frames,
        "first_frame": int(alignment.numbers[0]),
        "last_frame": int(alignment.numbers[-1]),
        "frames_tracked": int(fit.tracked.sum()),
        "frames_unreadable": len(footage.skipped),
        "faces_seen": alignment.faces_seen,
        "reprojection_error_percent_iod": {
            "mean": round(float(error.mean()), 4),
            "p95": round(float(np.percentile(error, 95)), 4),
        },
        "focal_px": round(fit.focal_px, 3),
        "seconds": {key: round(seconds[key], 4) for key in ("decode", "align", "fit", "total")},
        "frames_per_second": round(frames / seconds["total"], 2),
        "fit_iterations": fit.iterations,
        "head": head.id,
        "aligner": alignment.aligner,
        "options": dict(spec.options),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES},
    }


@lru_cache
def find_aligner(name: str) -> Aligner:
    """The aligner called ``name``, kept for the next job; raises UserError (``unknown_aligner``)."""
    from backend.alignment.mediapipe import MediaPipeAligner

    if name != MediaPipeAligner.name:
        raise UserError("unknown_aligner", f"There is no aligner “{name[:60]}”; there is “{MediaPipeAligner.name}”.")
    return MediaPipeAligner()


@lru_cache
def _finder() -> FaceFinder:
    from backend.alignment.face_finder import FaceFinder

    return FaceFinder()


def _choice(face: FaceChoice) -> AlignerChoice:
    from backend.alignment.choice import FaceChoice as AlignerChoice

    if face.kind == "box" and face.box:
        return AlignerChoice.box(*face.box, frame=face.frame)
    if face.kind == "point" and face.point:
        return AlignerChoice.point(*face.point, frame=face.frame)
    return AlignerChoice.largest(face.frame)


def _mean_rate(times: NDArray[np.float64]) -> float:
    """Frames per second over the take; 30 for a single frame, whose rate means nothing."""
    span = float(times[-1] - times[0])
    return (len(times) - 1) / span if span > 0 else 30.0


def _fit_options(options: Mapping[str, Any]) -> FitOptions:
    from backend.fitting import FitOptions

    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise UserError("unknown_option", f"There is no option “{unknown[0][:60]}”; there is “{'”, “'.join(OPTIONS)}”.")
    focal = options.get("focal_px")
    if focal is None:
        return FitOptions()
    if isinstance(focal, bool) or not isinstance(focal, int | float) or not math.isfinite(focal) or focal <= 0:
        raise UserError("bad_option", f"The option “focal_px” must be a number of pixels above 0, not {focal!r}.")
    return FitOptions(focal_px=float(focal))


def _aligning(on_progress: OnProgress) -> Callable[[int, int], None]:
    def hear(done: int, total: int) -> None:
        share = min(done / total, 1.0) if total else 0.0
        on_progress(JobProgress("finding the face", ALIGN_SHARE * share, done, max(done, total)))

    return hear


def _fitting(on_progress: OnProgress) -> Callable[[float, str], None]:
    def hear(fraction: float, _words: str) -> None:
        share = ALIGN_SHARE + (0.98 - ALIGN_SHARE) * min(max(fraction, 0.0), 1.0)
        on_progress(JobProgress("fitting the head", share))

    return hear


def _frame_errors(fit: FitResult) -> np.ndarray[Any, np.dtype[np.float32]]:
    """(T,) mean error of each frame's points, NaN where nothing was seen."""
    error = fit.reprojection_error_percent_iod
    seen = np.isfinite(error)
    total = np.where(seen, error, 0.0).sum(axis=1)
    count = seen.sum(axis=1)
    return np.where(fit.tracked & (count > 0), total / np.maximum(count, 1), np.nan).astype(np.float32)
