"""A fitted Track and the head it was fitted with, as the plain arrays from which the add-on builds a scene."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.export.blender import take_result
from backend.head_model.library import list_heads, load_head, load_head_of
from backend.head_model.model import HeadModel
from backend.pipeline.take_files import texture_file, track_file
from backend.reading import MAX_REPORT_BYTES, FileFault, read_json, read_ordinary
from backend.server.jobs import read_spec
from backend.track.io import load_track
from backend.track.types import Track
from protocol.messages import HeadInfo, Job, TrackJob
from protocol.take import TakeResult
from protocol.texture import MAX_TEXTURE_BYTES

log = logging.getLogger(__name__)


def load_take(folder: Path, name: str) -> TakeResult | None:
    """The take of a finished job's folder, None of a kind of job that has none.

    Raises UserError where one of its files is absent or damaged.
    """
    spec = read_spec(folder)
    if not spec.GIVES_TAKE:
        return None
    track = load_track(folder / track_file(1))
    try:
        report = read_json(folder / "report.json", "report", MAX_REPORT_BYTES)
    except UserError as error:
        raise UserError(ErrorCode.BAD_JOB, f"The job file {folder / 'report.json'} is damaged: {error}") from error
    head = _head(spec, track)
    others = []
    for number, own in enumerate(report.pop("others", []), start=2):
        further = load_track(folder / track_file(number))
        others.append(take_result(further, head, f"{name} head {number}", own, _texture(folder / texture_file(number))))
    return replace(take_result(track, head, name, report, _texture(folder / texture_file(1))), others=tuple(others))


def load_partial_take(path: Path, name: str) -> TakeResult:
    """The take of a partial track in a running job's folder, with its provenance for a report; raises UserError."""
    track = load_track(path)
    return take_result(track, _head(read_spec(path.parent), track), name, track.provenance)


def _texture(path: Path) -> bytes:
    """The bytes of a texture, none where there is none that may travel."""
    try:
        return read_ordinary(path, MAX_TEXTURE_BYTES)
    except FileFault:
        return b""


def _head(spec: Job, track: Track) -> HeadModel:
    name = spec.head if isinstance(spec, TrackJob) else track.head_id
    return load_head_of(name, track.head_hash)


def known_heads() -> tuple[HeadInfo, ...]:
    """The heads that a job may name; one whose file is damaged is left out, and the log says why."""
    found = []
    for entry in list_heads():
        try:
            head = load_head(entry.name)
        except UserError as error:
            log.warning("%s", error)
            continue
        origin = "built in" if entry.built_in else "added by the user"
        found.append(HeadInfo(entry.name, origin, head.licence, head.vertex_count, len(head.expression_names)))
    return tuple(found)
