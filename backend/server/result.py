"""A fitted Track and the head it was fitted with, as the plain arrays from which the add-on builds a scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.detail.io import load_wrinkles
from backend.detail.types import Wrinkles
from backend.detail.wire import to_wire
from backend.errors import ErrorCode, UserError
from backend.export.blender import take_result
from backend.head_model.library import list_heads, load_head_of
from backend.head_model.model import HeadModel
from backend.pipeline.take_files import texture_file, track_file, wrinkles_file
from backend.reading import MAX_REPORT_BYTES, FileFault, read_json, read_ordinary
from backend.server.jobs import JobStore, read_spec
from backend.server.reading_link import ReadResult
from backend.server.refusals import require_usable
from backend.track.io import load_track
from backend.track.types import Track
from protocol.codec import MAX_PART_BYTES, ProtocolError
from protocol.messages import Job, ResultReply, TrackJob
from protocol.take import TakeResult
from protocol.texture import MAX_TEXTURE_BYTES

Opening = Callable[[Path], None]
"""Is called before a file is read, and may refuse by a UserError."""


def read_result(store: JobStore, order: ReadResult, opening: Opening) -> ResultReply:
    """What a job has left, as the order asks for it.

    Raises UserError: ``no_result``, ``unknown_file``, and where a file is absent or damaged.
    """
    status = order.status
    if order.partial_file:
        try:
            return ResultReply(status, load_partial_take(Path(order.partial_file), status.name, opening))
        except UserError:
            status = store.load(status.job_id)
            if not status.finished:
                raise
            # else it has ended meanwhile, which deletes partial takes
    require_usable(status)
    left = store.results(status.job_id)
    fetchable = left | store.proxies(status.job_id)
    unknown = [name for name in order.files if name not in fetchable]
    if unknown:
        raise UserError(ErrorCode.UNKNOWN_FILE, f"The result of “{status.name}” has no file “{unknown[0][:60]}”.")
    wanted = left if order.all_files else order.files
    files = {name: _mapped(fetchable[name], opening) for name in wanted}
    take = load_take(store.folder(status.job_id), status.name, opening)
    store.mark_fetched(store.load(status.job_id))  # not as the client is told of it
    return ResultReply(status, take, files)


def _mapped(path: Path, opening: Opening) -> NDArray[np.uint8]:
    """The bytes of a file as they lie on disk, without a copy in memory; raises UserError ``too_large``."""
    opening(path)
    size = path.stat().st_size
    if size > MAX_PART_BYTES:
        raise UserError(ErrorCode.TOO_LARGE, f"The file {path} is too large to travel: it has {size} bytes.")
    return np.memmap(path, np.uint8, mode="r") if size else np.empty(0, np.uint8)


def _nothing(_path: Path) -> None:
    """Refuse no file and tell nobody."""


def load_take(folder: Path, name: str, opening: Opening = _nothing) -> TakeResult | None:
    """The take of a finished job's folder, None of a kind of job that has none.

    Raises UserError where one of its files is absent or damaged.
    """
    spec = read_spec(folder)
    if not spec.GIVES_TAKE:
        return None
    opening(folder / track_file(1))
    track = load_track(folder / track_file(1))
    try:
        report = read_json(folder / "report.json", "report", MAX_REPORT_BYTES)
    except UserError as error:
        raise UserError(ErrorCode.BAD_JOB, f"The job file {folder / 'report.json'} is damaged: {error}") from error
    head = _head(spec, track, opening)
    others = []
    for number, own in enumerate(report.pop("others", []), start=2):
        opening(folder / track_file(number))
        further = load_track(folder / track_file(number))
        others.append(_with_detail(folder, number, further, head, f"{name} head {number}", own))
    return replace(_with_detail(folder, 1, track, head, name, report), others=tuple(others))


def load_partial_take(path: Path, name: str, opening: Opening = _nothing) -> TakeResult:
    """The take of a partial track in a running job's folder, with its provenance for a report; raises UserError."""
    opening(path)
    track = load_track(path)
    return take_result(track, _head(read_spec(path.parent), track, opening), name, track.provenance)


def _with_detail(
    folder: Path, number: int, track: Track, head: HeadModel, name: str, report: Mapping[str, Any]
) -> TakeResult:
    """The take of a face with its texture and wrinkles, where the job left some."""
    texture, wrinkles = _texture(folder / texture_file(number)), _wrinkles(folder / wrinkles_file(number))
    return take_result(track, head, name, report, texture, wrinkles)


def _wrinkles(path: Path) -> Wrinkles | None:
    """A file of wrinkles, None where there is none that may travel."""
    if not path.is_file():
        return None
    try:
        wrinkles = load_wrinkles(path)
        to_wire(wrinkles)
    except (UserError, ProtocolError):
        return None
    return wrinkles


def _texture(path: Path) -> bytes:
    """The bytes of a texture, none where there is none that may travel."""
    try:
        return read_ordinary(path, MAX_TEXTURE_BYTES)
    except FileFault:
        return b""


def _head(spec: Job, track: Track, opening: Opening) -> HeadModel:
    name = spec.head if isinstance(spec, TrackJob) else track.head_id
    for entry in list_heads():
        if entry.name == name:
            opening(entry.path)
    return load_head_of(name, track.head_hash)
