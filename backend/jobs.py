"""The work of a job: footage → alignment → fit → track and report.

Importing this module is cheap; ``warm_up`` loads what the work needs (torch, MediaPipe), which takes seconds.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.aligners import DEFAULT_ALIGNER, find_aligner
from backend.alignment_io import save_alignments
from backend.errors import UserError
from backend.files import write_atomic
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track import Track
from backend.track_io import save_track
from protocol.messages import JobSpec

if TYPE_CHECKING:
    from backend.alignment.face_finder import FaceFinder
    from backend.fitting import FitOptions, FitResult, View
    from backend.head_model.model import HeadModel
    from backend.job_views import AlignedView
    from backend.neutral_prior import FacePicture

MATCH_SHARE = 0.3  # of the progress bar, where skin is matched
ALIGN_SHARE = 0.35  # of the progress bar; the fit takes the rest (measured on CPU: a quarter to a half)
OPTIONS = ("focal_px", "deform_region", "weights", "match_skin")
DEFORM_REGIONS = ("", "nose", "face")


def warm_up() -> str:
    """Load and try everything that a job needs; returns the device that fits run on, in words."""
    import torch

    from backend.fitting.fit import choose_device
    from backend.head_model.library import load_head

    grey = np.full((256, 256, 3), 128, np.uint8)
    _finder().find(grey)
    find_aligner(DEFAULT_ALIGNER, load_head())
    device = choose_device("auto")
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def run_job(
    spec: JobSpec, job_dir: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel
) -> tuple[Track, dict[str, Any]]:
    """Track a take; writes alignments.npz, track.npz and report.json into ``job_dir`` and returns the last two.

    ``seconds`` in the report: ``decode`` and ``align`` are busy times that overlap each other, ``fit`` the solver,
    ``total`` the time from the first decoded frame to the fitted track; reading heads and writing files are outside.

    Raises:
        UserError: footage, face choice, head, aligner, calibration, neutral or options that cannot be used; views that
            do not belong together.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.head_model.library import load_head
    from backend.job_matching import match_skin
    from backend.job_result import make_report, make_track
    from backend.job_views import align_views, open_views, remarks, views_to_fit
    from backend.neutral_prior import predicted_neutral, predictor_for
    from backend.view_agreement import check_agreement

    on_progress(JobProgress("opening the footage", 0.0))
    head = load_head(spec.head)
    options, focal_px = fit_options(spec, head)
    wanted = match_wanted(spec)
    aligner = find_aligner(spec.aligner, head, _weights(spec))
    opened = open_views(spec)
    predictor = predictor_for(spec.neutral_from) if spec.neutral_from else None
    prior = predicted_neutral(predictor, head) if predictor and not predictor.pictures_wanted else None
    folder = job_dir / "alignments"

    started = time.perf_counter()
    aligned, saved, notes = align_views(
        opened, aligner, _finder(), spec.face, folder, on_progress=_aligning(on_progress), should_cancel=should_cancel
    )
    fit_started = time.perf_counter()
    views = views_to_fit(aligned, focal_px)
    if predictor and prior is None:
        prior = predicted_neutral(predictor, head, _pictures(aligned[0], predictor.pictures_wanted))
    matching = wanted and len(views) > 1
    fit_ends = 0.98 - MATCH_SHARE * matching
    hear = _within(on_progress, "fitting the head", ALIGN_SHARE, fit_ends)
    fit = _fit(head, views, options, prior, hear, should_cancel)
    names = [view.opened.spec.name for view in aligned]
    notes += remarks(aligned) + check_agreement(head, views, names, fit, options, should_cancel)
    matched = None
    if matching:
        hear = _within(on_progress, "matching the skin between the views", fit_ends, 0.98)
        done = match_skin(head, aligned, views, fit, options, prior, on_progress=hear, should_cancel=should_cancel)
        fit, matched, notes = done.fit, done.report, notes + done.notes
    ended = time.perf_counter()
    on_progress(JobProgress("writing the result", 0.99))
    busy = {key: sum(view.alignment.seconds[key] for view in aligned) for key in ("decode", "align")}
    seconds = {**busy, "fit": ended - fit_started, "total": ended - started}
    report = make_report(spec, head, aligned, fit, seconds, notes) | {"matching": matched}
    track = make_track(head, aligned, fit, report)
    save_alignments(saved, job_dir / "alignments.npz")
    save_track(track, job_dir / "track.npz")
    write_atomic(job_dir / "report.json", json.dumps(report, indent=1, ensure_ascii=False).encode())
    _remove_chunks(folder)
    return track, report


def fit_options(spec: JobSpec, head: HeadModel) -> tuple[FitOptions, float | None]:
    """How to fit, and the focal length to pin where no calibration gives one. Raises UserError naming the option.

    Where there are several views, the nose may leave the identity basis unless the options say otherwise, as in
    seeds/001 §3.2.2: depth from one view tells too little of it.
    """
    from backend.fitting import FitOptions

    unknown = [name for name in spec.options if name not in OPTIONS]
    if unknown:
        raise UserError("unknown_option", f"There is no option “{unknown[0][:60]}”; there is “{'”, “'.join(OPTIONS)}”.")
    region = spec.options.get("deform_region")
    if region is None:
        region = "nose" if len(spec.views) > 1 and "nose" in head.regions else ""
    elif region not in DEFORM_REGIONS:
        raise UserError("bad_option", f"The option “deform_region” must be “nose”, “face” or “”, not {region!r:.60}.")
    return FitOptions(deform_region=region or None, metric_cameras=spec.metric_cameras), _known_focal(spec.options)


def match_wanted(spec: JobSpec) -> bool:
    """Whether skin is to be matched where there are several views: unless the options say no."""
    wanted = spec.options.get("match_skin", True)
    if not isinstance(wanted, bool):
        raise UserError("bad_option", f"The option “match_skin” must be true or false, not {wanted!r:.60}.")
    return wanted


def _known_focal(options: Mapping[str, Any]) -> float | None:
    focal = options.get("focal_px")
    if focal is None:
        return None
    if isinstance(focal, bool) or not isinstance(focal, int | float) or not math.isfinite(focal) or focal <= 0:
        raise UserError("bad_option", f"The option “focal_px” must be a number of pixels above 0, not {focal!r}.")
    return float(focal)


def _weights(spec: JobSpec) -> Path | None:
    weights = spec.options.get("weights")
    if weights is None:
        return None
    if not isinstance(weights, str) or not weights or "\0" in weights:
        raise UserError("bad_option", f"The option “weights” must be a path, not {weights!r:.60}.")
    return Path(weights)


def _fit(
    head: HeadModel,
    views: Sequence[View],
    options: FitOptions,
    prior: NDArray[np.float32] | None,
    hear: Callable[[float], None],
    should_cancel: ShouldCancel,
) -> FitResult:
    from backend.fitting import fit_take

    def on_iteration(fraction: float, _words: str) -> None:
        hear(fraction)

    return fit_take(head, views, options, neutral_prior=prior, on_progress=on_iteration, should_cancel=should_cancel)


def _pictures(view: AlignedView, count: int) -> Iterator[FacePicture]:
    """At most ``count`` of a view's frames with a face, spread over the take, decoded as they are asked for."""
    from backend.neutral_prior import FacePicture

    alignment = view.alignment
    seen = np.flatnonzero(alignment.found)
    chosen = seen[np.linspace(0, len(seen) - 1, min(count, len(seen))).round().astype(int)]
    wanted = {int(alignment.numbers[t]): int(t) for t in chosen}
    for frame in view.opened.footage:
        t = wanted.get(frame.number)
        if t is not None:
            yield FacePicture(frame.image, alignment.landmarks, alignment.mu[t], alignment.valid[t])


@lru_cache
def _finder() -> FaceFinder:
    from backend.alignment.face_finder import FaceFinder

    return FaceFinder()


def _remove_chunks(folder: Path) -> None:
    """Delete what is in one file by now."""
    for chunk in folder.glob("*/[0-9]*.npz"):
        chunk.unlink()
    for view in folder.iterdir():
        view.rmdir()
    folder.rmdir()


def _aligning(on_progress: OnProgress) -> Callable[[str, int, int], None]:
    def hear(words: str, done: int, total: int) -> None:
        on_progress(JobProgress(words, ALIGN_SHARE * min(done / max(total, 1), 1.0), done, total))

    return hear


def _within(on_progress: OnProgress, words: str, begin: float, end: float) -> Callable[[float], None]:
    """Hears a step's own fraction, which takes the whole job from ``begin`` to ``end``."""

    def hear(fraction: float) -> None:
        on_progress(JobProgress(words, begin + (end - begin) * min(max(fraction, 0.0), 1.0)))

    return hear
