"""The work of a job: footage → alignment → fit → track and report.

Importing this module is cheap; ``warm_up`` loads what the work needs (torch, MediaPipe), which takes seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.registry import DEFAULT_ALIGNER, find_aligner
from backend.errors import UserError
from backend.files import remove_temporary_files, write_atomic
from backend.observations.chunks import remove_chunks
from backend.observations.io import save_alignments
from backend.pipeline.drafts import Drafts
from backend.pipeline.kept_steps import KeptSteps
from backend.pipeline.neutral_marks import at_rest_report, marked_numbers, require_marks_within
from backend.pipeline.options import fit_options
from backend.pipeline.scarce_memory import smaller_warnings
from backend.pipeline.shares import ALIGN_SHARE, PAINTED, SOLVED, Solving, aligning
from backend.pipeline.take_files import alignments_file, texture_file, track_file, wrinkles_file
from backend.progress import JobProgress, OnPartial, OnProgress, ShouldCancel
from backend.track.io import save_track
from backend.track.types import Track
from protocol.messages import TrackJob

if TYPE_CHECKING:
    from backend.alignment.types import Aligner
    from backend.fitting import FitOptions, FitResult
    from backend.head_model.model import HeadModel
    from backend.observations import ViewAlignment
    from backend.pipeline.align_views import AlignedView
    from backend.pipeline.open_views import OpenView
    from backend.pipeline.proxies import ViewProxy
    from backend.pipeline.result import Timeline
    from backend.solving import SolvedTake

STEPS = "steps"  # the folder that keeps what dear steps found
PARTIAL_TRACK = "partial_track.npz"
CHUNKS = "alignments"  # the folder that keeps alignments as they are made


def warm_up() -> str:
    """Load and try everything that a job needs; returns the device that fits run on, in words."""
    import torch

    from backend.alignment.finder import face_finder
    from backend.fitting.fit import choose_device
    from backend.head_model.library import load_head

    grey = np.full((256, 256, 3), 128, np.uint8)
    face_finder().find(grey)
    find_aligner(DEFAULT_ALIGNER, load_head())
    device = choose_device("auto")
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def run_job(
    spec: TrackJob,
    job_dir: Path,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    on_partial: OnPartial | None = None,
) -> tuple[Track, dict[str, Any]]:
    """Track a take; writes alignments.npz, track.npz and report.json into ``job_dir`` and returns the last two.

    What an earlier run of the same job left in the folder is taken up: the result is that of one run, to the bit on the
    CPU. Where the job asks for several faces, there are alignments_2.npz, track_2.npz, … as well, and the report has
    those of the further faces as ``others``.

    ``seconds`` in the report: ``decode`` and ``align`` are busy times that overlap each other, ``fit`` the solver,
    ``total`` the time from the first decoded frame to the fitted track; reading heads and writing files are outside.
    ``on_partial`` hears of tracks that can be shown before: drafts of the frames known so far while footage is being
    aligned (``drafts``), and the whole take after each step of solving. Without one they are not made.

    Raises:
        UserError: footage, face choice, head, aligner, calibration, neutral or options that cannot be used; views that
            do not belong together.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.head_model.library import load_head
    from backend.pipeline.further_faces import share_of
    from backend.pipeline.made_from import key_of
    from backend.pipeline.open_views import open_views
    from backend.pipeline.told_neutral import ToldNeutral

    tidy(job_dir)
    on_progress(JobProgress("opening the footage", 0.0))
    head = load_head(spec.head)
    options = fit_options(spec, head)
    aligner = find_aligner(spec.aligner, head, Path(spec.options.weights) if spec.options.weights else None)
    opened = open_views(spec)
    require_marks_within(spec, opened[0].info)
    key = key_of(spec, head, aligner, opened)
    prior = ToldNeutral(spec.neutral_from, head, aligner)
    keep = KeptSteps(job_dir / STEPS, key)

    def publish(track: Track) -> None:
        if on_partial:
            save_track(track, job_dir / PARTIAL_TRACK)
            on_partial(PARTIAL_TRACK)

    drafts = Drafts(spec, head, opened[0], aligner, options, publish, should_cancel) if on_partial else None
    take, others = _align(spec, head, opened, aligner, job_dir / CHUNKS, key, on_progress, should_cancel, drafts)
    take = with_proxies(take, job_dir, on_progress, should_cancel)
    neutral = prior.neutral(take.aligned[0], keep, on_progress, should_cancel)
    options = replace(options, neutral_frames=marked_numbers(spec, take.aligned[0].alignment))

    solved_partly = (lambda fit: publish(take.track(fit))) if on_partial else None
    own_share = share_of(on_progress, 1, 1 + len(others), ALIGN_SHARE)
    solved, report = _solve(take, options, neutral, solved_partly, own_share, should_cancel, keep)
    track = finished(take, solved, report, job_dir, own_share, should_cancel, keep)
    report["others"] = _solve_others(take, others, solved.fit, job_dir, on_progress, should_cancel, keep)
    report["warnings"] = [*take.warnings, *smaller_warnings(take.aligned[0].alignment.frame_count)]
    write_report(report, job_dir, on_progress, keep)
    return track, report


def tidy(job_dir: Path) -> None:
    """Remove the half files of an earlier run that was killed."""
    from backend.pipeline.proxies import FOLDER as PROXIES

    for folder in (job_dir, job_dir / PROXIES, *(job_dir / CHUNKS).glob("*")):
        remove_temporary_files(folder)


def write_report(report: dict[str, Any], job_dir: Path, on_progress: OnProgress, keep: KeptSteps) -> None:
    """Write the last file of a job, and remove what a later run would have gone on from."""
    on_progress(JobProgress("writing the result", 0.999))
    write_atomic(job_dir / "report.json", json.dumps(report, indent=1, ensure_ascii=False).encode())
    remove_chunks(job_dir / CHUNKS)
    keep.remove()


def finished(
    take: AlignedTake,
    solved: SolvedTake,
    report: dict[str, Any],
    job_dir: Path,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    keep: KeptSteps,
    number: int = 1,
) -> Track:
    """The track of a face, written with its alignment and its skin, of which ``report`` tells; counted from 1."""
    from backend.pipeline.follow_skin import skin_error_percent
    from backend.pipeline.iris_color import read_iris_color, view_pictures

    track = take.track(solved.fit, report, skin_error_percent(solved))
    track = replace(track, iris_color=read_iris_color(track, take.head, view_pictures(take.aligned[0])))
    report |= painted(take, track, job_dir / texture_file(number), report["seconds"], on_progress, should_cancel, keep)
    report |= _wrinkled(
        take, track, job_dir / wrinkles_file(number), report["seconds"], on_progress, should_cancel, keep
    )
    save_alignments(take.saved, job_dir / alignments_file(number))
    save_track(track, job_dir / track_file(number))
    return track


def _solve_others(
    first: AlignedTake,
    others: Sequence[AlignedView],
    fit: FitResult,
    job_dir: Path,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    keep: KeptSteps,
) -> list[dict[str, Any]]:
    """Fit and write the further faces, in the camera that the first one's ``fit`` found; their reports."""
    from backend.pipeline.further_faces import further_report, not_tracked, share_of, with_camera_of

    reports: list[dict[str, Any]] = []
    for place, seen in enumerate(others, start=2):
        number = 2 + len(reports)
        spec, view = with_camera_of(first.spec, seen, fit.cameras[0])
        now = time.perf_counter()
        take = AlignedTake(spec, first.head, [view], [view.alignment], [], now, now, first.proxies)
        own_share = share_of(on_progress, place, 1 + len(others), ALIGN_SHARE)
        own_steps = keep.within(str(place))
        try:
            own, report = _solve(take, fit_options(spec, take.head), None, None, own_share, should_cancel, own_steps)
        except UserError as error:
            first.warnings.append(not_tracked(place, 1 + len(others), error.message))
            continue
        report = further_report(report, first.spec, number)
        finished(take, own, report, job_dir, own_share, should_cancel, own_steps, number)
        report["warnings"] = [*take.warnings]
        first.warnings.extend(f"Head {number}: {said}" for said in take.warnings)
        reports.append(report)
    return reports


@dataclass(frozen=True, eq=False)
class AlignedTake:
    """A take between alignment and result; ``warnings`` grow."""

    spec: TrackJob
    head: HeadModel
    aligned: list[AlignedView]
    saved: list[ViewAlignment]
    warnings: list[str]
    started: float  # when the first frame was decoded, by time.perf_counter
    fit_started: float
    proxies: Mapping[str, ViewProxy] = field(default_factory=dict)
    timeline: Timeline | None = None  # where it is not the first view's

    def report(self, fit: FitResult) -> dict[str, Any]:
        """The report as of now."""
        from backend.pipeline.report import make_report

        busy = {key: sum(view.alignment.seconds[key] for view in self.aligned) for key in ("decode", "align")}
        now = time.perf_counter()
        seconds = {**busy, "fit": now - self.fit_started, "total": now - self.started}
        return make_report(self.spec, self.head, self.aligned, fit, seconds, self.warnings, self.timeline)

    def track(
        self, fit: FitResult, report: dict[str, Any] | None = None, skin_error: NDArray[np.float32] | None = None
    ) -> Track:
        """The track of a fit, which misses followed skin by ``skin_error (T,)`` percent."""
        from backend.pipeline.result import make_track

        told = report or self.report(fit)
        return make_track(self.head, self.aligned, fit, told, self.proxies, skin_error, self.timeline)


def _align(
    spec: TrackJob,
    head: HeadModel,
    opened: Sequence[OpenView],
    aligner: Aligner,
    chunks: Path,
    key: str,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    drafts: Drafts | None,
) -> tuple[AlignedTake, Sequence[AlignedView]]:
    """The take of the first face, and its one view as it shows each further face that is asked for."""
    from backend.alignment.finder import face_finder
    from backend.pipeline.align_views import align_views, keeper_of, view_warnings
    from backend.pipeline.further_faces import align_actors

    started = time.perf_counter()
    if spec.several_faces:
        found = align_actors(
            opened[0],
            aligner,
            face_finder(),
            spec,
            keeper=keeper_of(opened[0], aligner, chunks / "faces", key),
            heard=drafts,
            on_progress=aligning(on_progress),
            should_cancel=should_cancel,
        )
        first, *others = found.views
        said = [*found.warnings, *view_warnings([first])]
        now = time.perf_counter()
        return AlignedTake(spec, head, [first], [first.alignment], said, started, now), others
    aligned, saved, warnings = align_views(
        opened,
        aligner,
        face_finder(),
        spec.face,
        chunks,
        key,
        on_progress=aligning(on_progress),
        should_cancel=should_cancel,
        heard=drafts,
    )
    warnings += view_warnings(aligned)
    return AlignedTake(spec, head, aligned, saved, warnings, started, time.perf_counter()), ()


def with_proxies(take: AlignedTake, job_dir: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> AlignedTake:
    """The take with proxies of what Blender cannot play; the time that they take is none of tracking."""
    from backend.pipeline.proxies import make_proxies

    def report(words: str, done: int, total: int) -> None:
        on_progress(JobProgress(words, ALIGN_SHARE, done, total))

    proxies, said = make_proxies(take.aligned, job_dir, on_progress=report, should_cancel=should_cancel)
    now = time.perf_counter()
    started = take.started + now - take.fit_started
    return replace(take, proxies=proxies, warnings=[*take.warnings, *said], started=started, fit_started=now)


def _solve(
    take: AlignedTake,
    options: FitOptions,
    neutral: NDArray[np.float32] | None,
    on_solved_partly: Callable[[FitResult], None] | None,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    keep: KeptSteps,
) -> tuple[SolvedTake, dict[str, Any]]:
    """The fit, and the report, of its neutral and of the skin matched in it as well."""
    from backend.pipeline.align_views import views_to_fit
    from backend.pipeline.match_skin import matched_in, matching
    from backend.pipeline.view_consistency import check_consistency
    from backend.solving import solve_take

    views = views_to_fit(take.aligned, take.spec.options.focal_px)
    names = [view.opened.spec.name for view in take.aligned]

    def on_fitted(fit: FitResult) -> None:
        take.warnings.extend(
            keep("consistency", lambda: check_consistency(take.head, views, names, fit, options, should_cancel))
        )

    with matching(take.spec.options, take.aligned) as pictures:
        progress = Solving(on_progress, matching=pictures is not None)
        solved = solve_take(
            take.head,
            views,
            options,
            pictures=pictures,
            neutral_prior=neutral,
            on_fitted=on_fitted,
            on_partial=on_solved_partly,
            on_progress=progress,
            should_cancel=should_cancel,
            keep=keep,
        )
    further, said = matched_in(take.aligned, solved, wanted=pictures is not None)
    take.warnings.extend(said)
    report = take.report(solved.fit) | {"neutral": at_rest_report(solved.at_rest)} | further
    if progress.matching_took:
        report["seconds"]["match"] = round(progress.matching_took, 4)
    return solved, report


def painted(
    take: AlignedTake,
    track: Track,
    path: Path,
    seconds: dict[str, float],
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    keep: KeptSteps,
) -> dict[str, Any]:
    """Paint the skin where it is wanted, and what the report says of it; its time is none of tracking."""
    from backend.pipeline.paint_skin import paint_or_say

    if not take.spec.options.texture:
        return {"texture": None}
    started = time.perf_counter()

    def report(fraction: float) -> None:
        on_progress(JobProgress("painting the skin", SOLVED + (PAINTED - SOLVED) * fraction))

    told = keep.find("painted") if path.is_file() else None
    if told is None:
        told, said = paint_or_say(track, take.head, take.aligned, path, on_progress=report, should_cancel=should_cancel)
        take.warnings.extend(said)
        if told is not None:
            keep.put("painted", told)
    seconds["texture"] = round(time.perf_counter() - started, 4)
    return {"texture": told}


def _wrinkled(
    take: AlignedTake,
    track: Track,
    path: Path,
    seconds: dict[str, float],
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    keep: KeptSteps,
) -> dict[str, Any]:
    """Read wrinkles from the skin's shading where they are wanted, and what the report says of them, as of textures."""
    from backend.pipeline.read_wrinkles import read_or_say

    if not take.spec.options.wrinkles:
        return {}
    started = time.perf_counter()

    def report(fraction: float) -> None:
        on_progress(JobProgress("reading the skin's wrinkles", PAINTED + (0.999 - PAINTED) * fraction))

    told = keep.find("wrinkles")
    if told is None or not (path.is_file() or told["none"]):
        told = read_or_say(track, take.head, take.aligned, path, on_progress=report, should_cancel=should_cancel)
        keep.put("wrinkles", told)
    take.warnings.extend(told["said"])
    seconds["wrinkles"] = round(time.perf_counter() - started, 4)
    return {"wrinkles": None if told["none"] else {name: told[name] for name in told if name not in ("none", "said")}}
