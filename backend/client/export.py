"""A tracked take, or several, to a file or a folder for other tools: what ``flowface export`` does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.client.blender_exports import any_export, is_blenders
from backend.client.connection import Client, OnStatus
from backend.client.through_blender import take_of_file, take_of_job, write_by_blender
from backend.client.track import backend_endpoint, write_result
from backend.errors import ErrorCode, UserError
from backend.export.registry import export_takes, export_track
from backend.export.takes import read_take
from backend.export.whole_folder import whole_folder
from backend.pipeline.take_files import track_file
from backend.progress import JobProgress, OnProgress, never
from backend.track.io import load_track
from protocol.codec import ProtocolError
from protocol.job import ExportJob
from protocol.packed_folder import unpack_folder


@dataclass(frozen=True)
class ExportRequest:
    """Takes to write, and as what. Each is a track file, a folder that holds one, or the id of a finished job.

    ``endpoint`` None uses the backend that runs, else a private one that is started and stopped; for files there is no
    need of any.
    """

    takes: Sequence[str]
    format: str
    out: Path
    endpoint: str | None = None
    face: int = 1  # of a job or a folder of several, counted from 1


def export_to_file(
    request: ExportRequest, on_status: OnStatus | None = None, on_progress: OnProgress = lambda _: None
) -> Path:
    """Write the file or the folder that is asked for and return its path.

    ``on_status`` gets the progress of a backend's job, ``on_progress`` of what is written here.

    Raises:
        UserError: ``file_missing``, ``unknown_export``, ``unknown_job``, ``no_result``, ``output_unwritable``,
            ``bad_export`` for several takes that cannot be written as one; what reading a track and writing its export
            raise.
    """
    export = any_export(request.format)
    found = [_track_of(take, request.face) for take in request.takes]
    files = [file for file in found if file is not None]
    if len(files) == len(found):
        export_files(files, request.format, request.out, on_progress)
    elif len(found) > 1:
        job = request.takes[found.index(None)]
        sentence = f"“{job}” is a job of a backend; several takes are exported from folders of results."
        raise UserError(ErrorCode.BAD_EXPORT, sentence, f"Fetch it first: flowface jobs fetch {job} --out FOLDER.")
    elif is_blenders(request.format):
        with backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
            take = take_of_job(client, request.takes[0], request.face)
        on_progress(JobProgress("Blender is writing the file", 0.5))
        write_by_blender(take, request.format, request.out)
    else:
        _keep(_by_job(request, on_status), request.out, folder=export.folder)
    return request.out


def export_files(files: Sequence[Path], name: str, out: Path, on_progress: OnProgress = lambda _: None) -> None:
    """Write the takes of track files as the export called ``name``, in this process or by Blender.

    Raises:
        UserError: ``unknown_export``, ``output_unwritable``, ``bad_export`` for several takes that cannot be written as
            one; what reading a track and writing its export raise.
    """
    export = any_export(name)
    if export.folder:
        with whole_folder(out) as folder:
            on_progress(JobProgress("reading the take", 0.0))
            export_takes([read_take(file) for file in files], name, folder, on_progress, never)
    elif len(files) != 1:
        sentence = f"The export “{name}” is of one take; {len(files)} were named."
        raise UserError(ErrorCode.BAD_EXPORT, sentence, "Export them one by one.")
    elif is_blenders(name):
        on_progress(JobProgress("Blender is writing the file", 0.5))
        write_by_blender(take_of_file(files[0]), name, out)
    else:
        write_result(out, export_track(load_track(files[0]), name))


def _track_of(take: str, face: int) -> Path | None:
    """The file of a take's track; None where it is a job's."""
    path = Path(take)
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name too long to be one
        return path / track_file(face) if path.is_dir() else path
    if path.suffix or len(path.parts) > 1:
        sentence = f"There is no track at {path}."
        raise UserError(ErrorCode.FILE_MISSING, sentence, "Name a track.npz or the id of a finished job.")
    return None


def _by_job(request: ExportRequest, on_status: OnStatus | None) -> bytes:
    (take,) = request.takes
    with backend_endpoint(request.endpoint) as endpoint, Client(endpoint) as client:
        reply = client.run(ExportJob(take, request.format, request.face), on_status, all_files=True)
    if len(reply.files) != 1:
        raise UserError(ErrorCode.NO_FILE, f"The export of “{take}” left {len(reply.files)} files, not one.")
    (data,) = reply.files.values()
    return data.tobytes()


def _keep(data: bytes, out: Path, *, folder: bool) -> None:
    if not folder:
        write_result(out, data)
        return
    with whole_folder(out) as unfinished:
        try:
            unpack_folder(data, unfinished)
        except ProtocolError as error:
            raise UserError(ErrorCode.BAD_FILE, error.message, error.hint) from error
