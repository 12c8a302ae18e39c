"""The further faces of a job: aligned together with the first one, then each fitted as a head of the same take.

The first face frees the camera; the others have its focal length and principal point as known, so that all heads
stand right to each other in one camera.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.pipeline.align_views import AlignedView, Hears, OnAligned, aligner_choice
from backend.pipeline.take_files import track_file
from backend.progress import JobProgress, OnProgress, ShouldCancel
from protocol.job import TrackJob

if TYPE_CHECKING:
    from backend.alignment.keeping import Keeper
    from backend.alignment.types import Aligner, FaceFinder
    from backend.fitting import FittedCamera
    from backend.pipeline.open_views import OpenView


@dataclass(frozen=True, eq=False)
class AlignedActors:
    """The one view of a job as it shows each face, the first one first, and sentences for the user."""

    views: tuple[AlignedView, ...]
    warnings: list[str]


def align_actors(
    opened: OpenView,
    aligner: Aligner,
    finder: FaceFinder,
    spec: TrackJob,
    *,
    keeper: Keeper,
    heard: Hears | None,
    on_progress: OnAligned,
    should_cancel: ShouldCancel,
) -> AlignedActors:
    """Find the faces that the job asks for, all in one pass; ``heard`` gets what is known of the first one.

    ``keeper`` keeps what is known, and what it found is gone on from.

    Raises:
        UserError: ``no_face``, ``no_frames``, ``face_not_chosen``.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.alignment.align_footage import align_faces
    from backend.alignment.several_faces import MOST_FACES, FacesWanted

    first = aligner_choice(spec.views[0].face or spec.face)
    found = align_faces(
        opened.footage,
        aligner,
        FacesWanted(first, tuple(aligner_choice(face) for face in spec.faces), spec.all_faces),
        finder=finder,
        on_found=heard.go_on if heard else None,
        on_frame=heard.add if heard else None,
        on_progress=lambda done, total: on_progress("finding the faces", done, max(done, total)),
        should_cancel=should_cancel,
        keeper=keeper,
    )
    frames = found.faces[0].frame_count
    warnings = [
        f"A face that was seen in {count} of {frames} frames only was left out: pick it to have it tracked."
        for count in found.left_out
    ]
    if found.overflowed:
        warnings.append(
            f"There are more faces than the {MOST_FACES} that are followed at once: track others in a job of their own."
        )
    index = np.arange(frames)
    return AlignedActors(tuple(AlignedView(opened, face, index) for face in found.faces), warnings)


def with_camera_of(spec: TrackJob, view: AlignedView, camera: FittedCamera) -> tuple[TrackJob, AlignedView]:
    """The job and the view of a further face, whose camera is known by the first one's fit."""
    known = replace(spec, options=replace(spec.options, focal_px=camera.focal_px), neutral_frames=None)
    told = view.opened.spec
    if told.principal_point is None and (told.camera is None or told.camera.principal_point is None):
        centre = float(camera.principal_point[0]), float(camera.principal_point[1])
        view = replace(view, opened=replace(view.opened, spec=replace(told, principal_point=centre)))
    return known, view


def further_report(report: dict[str, Any], spec: TrackJob, number: int) -> dict[str, Any]:
    """The report of a further face under its own name, with the options that the user gave."""
    views = [view | {"focal_known": False, "focal_from": "head 1"} for view in report["views"]]
    return report | {
        "name": f"head {number}",
        "head_number": number,
        "track": track_file(number),
        "options": spec.options.to_plain(),
        "views": views,
    }


def share_of(on_progress: OnProgress, number: int, faces: int, begins: float) -> OnProgress:
    """Progress of one face's fit, of ``faces`` that are fitted one after the other from the fraction ``begins`` on."""
    if faces == 1:
        return on_progress

    def report(progress: JobProgress) -> None:
        done = (number - 1 + max(0.0, progress.fraction - begins) / (1 - begins)) / faces
        stage = f"{progress.stage} (head {number} of {faces})"
        on_progress(replace(progress, stage=stage, fraction=begins + (1 - begins) * done))

    return report


def not_tracked(place: int, faces: int, why: str) -> str:
    """A sentence about a face that could not be fitted, by its place among all; heads are numbered without it."""
    return f"Face {place} of {faces} was not tracked: {why}"
