"""A tracked take to a file for other tools: what ``flowface export`` does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from backend.client.connection import Client, OnStatus
from backend.client.track import backend_endpoint, write_result
from backend.errors import ErrorCode, UserError
from backend.export.registry import export_track, require_export
from backend.pipeline.take_files import track_file
from backend.track.io import load_track
from protocol.job import ExportJob


@dataclass(frozen=True)
class ExportRequest:
    """A take to write, and as what. ``take`` is a track file, a folder that holds one, or the id of a finished job.

    ``endpoint`` None uses the backend that runs, else a private one that is started and stopped; for files there is no
    need of any.
    """

    take: str
    format: str
    out: Path
    endpoint: str | None = None
    face: int = 1  # of a job or a folder of several, counted from 1


def export_to_file(request: ExportRequest, on_status: OnStatus | None = None) -> Path:
    """Write the file that is asked for and return its path.

    Raises:
        UserError: ``file_missing``, ``unknown_export``, ``unknown_job``, ``no_result``, ``output_unwritable``;
            what reading a track and writing its export raise.
    """
    path = Path(request.take)
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name too long to be one
        require_export(request.format)
        track = load_track(path / track_file(request.face) if path.is_dir() else path)
        data = export_track(track, request.format)
    elif path.suffix or len(path.parts) > 1:
        raise UserError(
            ErrorCode.FILE_MISSING, f"There is no track at {path}.", "Name a track.npz or the id of a finished job."
        )
    else:
        data = _by_job(request, on_status)
    write_result(request.out, data)
    return request.out


def _by_job(request: ExportRequest, on_status: OnStatus | None) -> bytes:
    with backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
        reply = client.run(ExportJob(request.take, request.format, request.face), on_status, all_files=True)
    if len(reply.files) != 1:
        raise UserError(ErrorCode.NO_FILE, f"The export of “{request.take}” left {len(reply.files)} files, not one.")
    (data,) = reply.files.values()
    return data.tobytes()
