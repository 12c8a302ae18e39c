"""A tracked take solved again between corrections of a file: what ``flowface refine`` does."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backend.client.connection import Client, OnStatus
from backend.client.track import (
    TrackOutput,
    backend_endpoint,
    forget,
    keep_proxies,
    keep_skin,
    output_folder,
    write_result,
)
from backend.errors import ErrorCode, UserError
from backend.observations.io import MAX_BYTES as ALIGNMENT_BYTES
from backend.overlay.track import write_overlays
from backend.pipeline.take_files import TRACKED, files_of_take, texture_file, track_file, wrinkles_file
from backend.progress import never
from backend.reading import MAX_REPORT_BYTES, read_bounded, read_json
from backend.track.io import load_track
from protocol.codec import ProtocolError
from protocol.messages import RESULT_FILES, RefineJob

REFINED_FILES = (*RESULT_FILES, TRACKED)
MAX_BYTES = 64 << 20  # of a file of corrections, however it is written


@dataclass(frozen=True)
class RefineRequest:
    """A take to refine and by what. ``take`` is a folder that holds one, or the id of a finished job.

    ``corrections`` is a JSON file with a ``RefineJob``'s ``pins``, ``masks``, ``keys``, ``frames`` and ``blend``, all
    of which may be left out; ``frames`` (first, last) counts before the file's. ``endpoint`` None uses the backend that
    runs, else a private one that is started and stopped; for a folder there is no need of any.
    """

    take: str
    corrections: Path
    out: Path
    frames: tuple[int, int] | None = None
    face: int = 1  # of a take of several, counted from 1
    overlay: bool = False
    endpoint: str | None = None


def refine_to_folder(
    request: RefineRequest, on_status: OnStatus | None = None, on_stage: Callable[[str], None] | None = None
) -> TrackOutput:
    """Refine a take and write track.npz, report.json and what refining it again needs into ``request.out``.

    Raises UserError: ``file_missing``, ``bad_file``, ``bad_field``, ``unknown_job``, ``no_result``,
    ``output_unwritable``; what refining raises.
    """
    job = read_corrections(request.corrections)
    job = replace(job, face=request.face, frames=request.frames or job.frames)
    folder = Path(request.take)
    with output_folder(request.out) as out:
        _require_one_head(out)
        if os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir raises for a name too long to be one
            _in_folder(job, folder, out, on_stage)
        elif folder.suffix or len(folder.parts) > 1:
            raise UserError(
                ErrorCode.FILE_MISSING,
                f"There is no folder {folder}.",
                "Name a folder of results or the id of a finished job.",
            )
        else:
            _by_job(replace(job, parent=request.take), request, on_status)
        track = load_track(out / "track.npz")
        names = (*REFINED_FILES, texture_file(1), wrinkles_file(1))
        files = {Path(name).stem: out / name for name in names if (out / name).is_file()}
        if request.overlay:
            if on_stage:
                on_stage("writing the overlay")
            seen = [read_bounded(out / "alignments.npz", "alignments", ALIGNMENT_BYTES)]
            files |= write_overlays([track], track.head_id, seen, out)
        return TrackOutput(track, read_json(out / "report.json", "report", MAX_REPORT_BYTES), files)


def read_corrections(path: Path) -> RefineJob:
    """The job that a file of corrections asks for, of no parent; raises UserError naming what is wrong with it."""
    data = read_json(path, "corrections", MAX_BYTES)
    if not isinstance(data, dict):
        raise UserError(
            ErrorCode.BAD_FILE, f"{path} holds no corrections.", "Write a map with “pins”, “masks”, “keys”."
        )
    try:
        return RefineJob.from_plain({**data, "kind": RefineJob.KIND, "parent": ""}, "corrections")
    except ProtocolError as error:
        raise UserError(error.code, f"{path}: {error.message}", error.hint) from error


def _require_one_head(out: Path) -> None:
    if (out / track_file(2)).is_file():
        raise UserError(
            ErrorCode.BAD_OUTPUT,
            f"The refined head cannot be written to {out}: a take's heads are there, and it would replace one.",
            "Choose another folder.",
        )


def _in_folder(job: RefineJob, folder: Path, out: Path, on_stage: Callable[[str], None] | None) -> None:
    from backend.pipeline.refine_job import refine_folder

    refine_folder(
        job, folder, out, on_progress=lambda now: on_stage(now.stage) if on_stage else None, should_cancel=never
    )


def _by_job(job: RefineJob, request: RefineRequest, on_status: OnStatus | None) -> None:
    with backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
        earlier = files_of_take(request.out)
        reply = client.run(job, on_status, REFINED_FILES)
        for name in REFINED_FILES:
            write_result(request.out / name, reply.files[name].tobytes())
        keep_proxies(reply, request.out)
        kept = keep_skin(reply.take, request.out).values()
        forget(earlier, {*REFINED_FILES, *(path.name for path in kept)})
