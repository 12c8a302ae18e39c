"""The work of a job that makes a head of photographs: stills, alignment, fit, a take whose first frame is neutral."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.alignment.registry import find_aligner
from backend.observations.io import save_alignments
from backend.pipeline.kept_steps import KeptSteps
from backend.pipeline.options import fit_options
from backend.pipeline.shares import Solving, aligning
from backend.pipeline.take_files import alignments_file, texture_file, track_file
from backend.pipeline.track_job import (
    CHUNKS,
    PARTIAL_TRACK,
    STEPS,
    AlignedTake,
    painted,
    tidy,
    with_proxies,
    write_report,
)
from backend.progress import JobProgress, OnPartial, OnProgress, ShouldCancel
from backend.track.io import save_track
from backend.track.types import Track
from protocol.photographs import PhotographsJob

if TYPE_CHECKING:
    from backend.alignment.types import Aligner
    from backend.fitting import FitResult
    from backend.head_model.model import HeadModel
    from backend.pipeline.align_views import AlignedView
    from backend.pipeline.open_views import OpenView
    from backend.solving.photographs import SolvedPhotographs

FACE = "face"
"""The region in which a person may leave the head's identities where nobody chose: stills from several sides tell it.
"""


def run_job(
    spec: PhotographsJob,
    job_dir: Path,
    *,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
    on_partial: OnPartial | None = None,
) -> tuple[Track, dict[str, Any]]:
    """Make a head; writes alignments.npz, track.npz, texture.png and report.json into ``job_dir`` and returns track and
    report. What an earlier run of the same job left in the folder is taken up.

    Raises:
        UserError: photographs, face choice, head, aligner or options that cannot be used.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.head_model.library import load_head
    from backend.pipeline.made_from import key_of
    from backend.pipeline.open_stills import open_stills

    tidy(job_dir)
    on_progress(JobProgress("opening the photographs", 0.0))
    head = load_head(spec.head)
    aligner = find_aligner(spec.aligner, head, Path(spec.options.weights) if spec.options.weights else None)
    opened, said = open_stills(spec)
    key = key_of(spec, head, aligner, opened)
    take = _aligned(spec, head, aligner, opened, said, job_dir / CHUNKS, key, on_progress, should_cancel)
    take = with_proxies(take, job_dir, on_progress, should_cancel)

    def publish(fit: FitResult) -> None:
        if on_partial:
            save_track(_track(take, fit), job_dir / PARTIAL_TRACK)
            on_partial(PARTIAL_TRACK)

    keep = KeptSteps(job_dir / STEPS, key)
    progress = Solving(on_progress, matching=spec.options.matches_skin(len(take.aligned)))
    solved = _solve(take, publish, progress, should_cancel)
    report = _report(take, solved, progress)
    track = _track(take, solved.fit, report)
    report |= painted(take, track, job_dir / texture_file(1), report["seconds"], on_progress, should_cancel, keep)
    report["others"] = []
    if spec.options.wrinkles:
        take.warnings.append(
            "Wrinkles were not looked for: photographs differ in light, and only footage tells them apart."
        )
    report["warnings"] = list(take.warnings)
    save_alignments(take.saved, job_dir / alignments_file(1))
    save_track(track, job_dir / track_file(1))
    write_report(report, job_dir, on_progress, keep)
    return track, report


def _aligned(
    spec: PhotographsJob,
    head: HeadModel,
    aligner: Aligner,
    opened: Sequence[OpenView],
    said: Sequence[str],
    chunks: Path,
    key: str,
    on_progress: OnProgress,
    should_cancel: ShouldCancel,
) -> AlignedTake:
    """The take of the stills that show a face; what opening them ``said`` is among its warnings."""
    from backend.alignment.finder import face_finder
    from backend.pipeline.align_views import view_warnings
    from backend.pipeline.open_stills import find_in_stills

    started = time.perf_counter()
    telling = aligning(on_progress)
    found = find_in_stills(
        opened, aligner, face_finder(), spec, chunks, key, on_progress=telling, should_cancel=should_cancel
    )
    aligned = list(found.views)
    warnings = [*said, *found.warnings, *view_warnings(aligned)]
    saved = [view.alignment for view in aligned]
    now = time.perf_counter()
    return AlignedTake(spec, head, aligned, saved, warnings, started, now, timeline=found.timeline)


def _solve(take: AlignedTake, publish: Any, progress: Solving, should_cancel: ShouldCancel) -> SolvedPhotographs:
    from backend.pipeline.match_skin import pictures_of
    from backend.pipeline.open_stills import stills_to_fit
    from backend.solving.photographs import solve_photographs

    options = fit_options(take.spec, take.head)
    if take.spec.options.deform_region is None:
        options = replace(options, deform_region=FACE if FACE in take.head.regions else None)
    alone = [replace(view, index=view.index[view.index >= 0]) for view in take.aligned]
    return solve_photographs(
        take.head,
        stills_to_fit(take.aligned, take.spec.options.focal_px),
        options,
        pictures=pictures_of(alone) if take.spec.options.matches_skin(len(alone)) else None,
        on_partial=publish,
        on_progress=progress,
        should_cancel=should_cancel,
    )


def _track(take: AlignedTake, fit: FitResult, report: dict[str, Any] | None = None) -> Track:
    """The take of a fit: the head stands still, at rest in the first frame."""
    from backend.solving.photographs import about_the_head

    track = take.track(about_the_head(fit), report)
    return replace(track, iris_color=_iris_color(track, take)) if report is not None else track


def _iris_color(track: Track, take: AlignedTake) -> tuple[float, ...]:
    """The colour of the irises by the first photograph that tells it."""
    from backend.pipeline.iris_color import read_iris_color, view_pictures

    for camera, view in zip(track.cameras, take.aligned, strict=True):
        told = read_iris_color(replace(track, cameras=(camera,)), take.head, view_pictures(view))
        if told:
            return told
    return ()


def _report(take: AlignedTake, solved: SolvedPhotographs, progress: Solving) -> dict[str, Any]:
    from backend.pipeline.match_skin import matching_report
    from backend.solving.photographs import about_the_head

    report = take.report(about_the_head(solved.fit)) | {"matching": None, "matching_in_time": None, "neutral": {}}
    if progress.matching_took:
        report["matching"], said = matching_report(take.aligned, solved.matched)
        take.warnings.extend(said)
        report["seconds"]["match"] = round(progress.matching_took, 4)
    # warnings have told of further faces, and nobody can ask for all of them
    report |= {"photographs": len(take.aligned), "faces_seen": 1}
    report["apart_deg"] = round(float(solved.apart_degrees), 2)
    take.warnings.extend(_doubts(take.aligned, solved))
    return report


def _doubts(stills: Sequence[AlignedView], solved: SolvedPhotographs) -> list[str]:
    """What a user should know of what the photographs cannot tell."""
    if not solved.from_one_side:
        return []
    these = "One photograph does" if len(stills) == 1 else "Photographs from nearly one side do"
    return [
        f"{these} not tell the depth of a face: it is what such faces mostly have. Add photographs from other sides, "
        "the more the face is turned between them, up to a half profile, the better."
    ]
