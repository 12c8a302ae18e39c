"""The work of an export: a tracked take as a file, or a packed folder, for other tools."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from backend.errors import Cancelled, ErrorCode, UserError
from backend.export.registry import export_takes, export_track, require_export
from backend.export.takes import read_take
from backend.export.whole_folder import whole_folder
from backend.files import put_in_place, write_atomic
from backend.pipeline.take_files import track_file
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.track.io import load_track
from protocol.codec import MAX_PART_BYTES
from protocol.job import ExportJob
from protocol.packed_folder import pack_folder

FILE_STEM = "export"
WRITTEN = 0.95  # of the work, once a folder is there and left to be packed


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
    file = job_dir / f"{FILE_STEM}{export.suffix}"
    if export.folder:
        _pack(spec, tracked, file, on_progress, should_cancel)
        return file
    track = load_track(tracked)
    if should_cancel():
        raise Cancelled
    on_progress(JobProgress(f"writing {export.title}", 0.2))
    write_atomic(file, export_track(track, spec.format))
    return file


def _pack(spec: ExportJob, tracked: Path, file: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    """Write an export of several files as ``file``; raises UserError ``too_large`` for what no client could fetch."""

    def tell(progress: JobProgress) -> None:
        on_progress(replace(progress, fraction=progress.fraction * WRITTEN))

    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        written, packed = Path(folder) / "written", Path(folder) / file.name
        with whole_folder(written) as unfinished:
            export_takes([read_take(tracked, spec.name)], spec.format, unfinished, tell, should_cancel)
        size = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())
        if size > MAX_PART_BYTES // 2:
            raise UserError(
                ErrorCode.TOO_LARGE,
                f"The export takes {size >> 20} MiB; over a connection go {MAX_PART_BYTES >> 21}.",
                "Track fewer frames, or write it by “flowface export” from a folder of results.",
            )
        pack_folder(written, packed)
        put_in_place(packed, file)
