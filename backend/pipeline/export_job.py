"""The work of an export: a tracked take as a file for other tools."""

from __future__ import annotations

from pathlib import Path

from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.registry import export_track, require_export
from backend.files import write_atomic
from backend.pipeline.take_files import track_file
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.io import load_track
from protocol.job import ExportJob

FILE_STEM = "export"


def run_job(
    spec: ExportJob, job_dir: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel, **_worker: object
) -> Path:
    """Write the parent's take into ``job_dir`` and return the file.

    Raises:
        UserError: ``unknown_export``, ``no_result`` where the parent left no take, what ``load_track`` and
            ``export_track`` raise.
        Cancelled: ``should_cancel`` said so.
    """
    export = require_export(spec.format)
    on_progress(JobProgress("reading the take", 0.0))
    tracked = job_dir.parent / spec.parent / track_file(spec.face)
    if not tracked.is_file():
        what = "take" if spec.face == 1 else f"head {spec.face}"
        sentence = f"The job {spec.parent} left no {what} that could be exported."
        raise UserError(ErrorCode.NO_RESULT, sentence, "Name the job that tracked it.")
    track = load_track(tracked)
    if should_cancel():
        raise Cancelled
    on_progress(JobProgress(f"writing {export.title}", 0.2))
    file = job_dir / f"{FILE_STEM}{export.suffix}"
    write_atomic(file, export_track(track, spec.format))
    return file
