"""The results of one clip: the figures that its report tells, and what is drawn or written from it on request."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.client.batch.ledger import ClipRecord
from backend.client.blender import Blender
from backend.client.blender_exports import any_export
from backend.client.export import export_files
from backend.client.scene_writer import scene_writer
from backend.errors import UserError
from backend.files import write_atomic
from backend.overlay.track import write_overlays
from backend.pipeline.take_files import alignments_file, track_file
from backend.reading import MAX_REPORT_BYTES, read_json
from backend.server.result import load_take
from backend.track.io import load_track
from protocol.fields import to_plain
from protocol.job import TrackJob
from protocol.messages import JobState, JobStatus, ResultReply

SCENE = "scene.blend"
EXPORTS = "export"
REPORT = "report.json"


def with_figures(record: ClipRecord, folder: Path) -> ClipRecord:
    """The record with what the report in ``folder`` tells; as it is where there is none."""
    report = _report(folder)
    error = report.get("reprojection_error_percent_iod", {}).get("mean")
    frames, tracked = report.get("frames", 0), report.get("frames_tracked", 0)
    seconds = record.seconds or report.get("seconds", {}).get("total")  # a job that was done before it was followed on
    return replace(record, frames=frames, frames_tracked=tracked, error_percent_iod=error, seconds=seconds)


def write_clip_overlays(folder: Path, spec: TrackJob) -> None:
    """Draw a clip's heads over its footage; raises UserError as ``write_overlays`` does."""
    numbers = range(1, 2 + len(_report(folder).get("others", [])))
    tracks = [load_track(folder / track_file(number)) for number in numbers]
    seen = [(folder / alignments_file(number)).read_bytes() for number in numbers]
    write_overlays(tracks, spec.head, seen, folder)


def write_scene(blender: Blender, folder: Path, spec: TrackJob, name: str) -> None:
    """Have Blender write scene.blend, beside which its files have to lie already; raises UserError (``scene``)."""
    asked = folder / "spec.json"  # what a take is read by, as in a job's folder
    unfinished = folder / ".scene.blend"
    try:
        write_atomic(asked, json.dumps(to_plain(spec), ensure_ascii=False).encode())
        status = JobStatus("", name, JobState.DONE, footage=spec.footage)
        with scene_writer(blender, ResultReply(status, load_take(folder, name)), unfinished) as finish:
            finish()
        unfinished.replace(folder / SCENE)
    finally:
        for path in (asked, unfinished):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def export_files_of(folder: Path, names: Sequence[str]) -> list[tuple[str, int, Path]]:
    """What a clip's exports are: the name, the number of the head and the file or folder of each.

    Those of further heads have the number in their names. Raises UserError ``unknown_export``.
    """
    numbers = range(1, 2 + len(_report(folder).get("others", [])))
    out = []
    for info in map(any_export, dict.fromkeys(names)):
        ending = "" if info.folder else info.suffix
        stems = [(number, info.name if number == 1 else f"{info.name}_{number}") for number in numbers]
        out += [(info.name, number, folder / EXPORTS / f"{stem}{ending}") for number, stem in stems]
    return out


def write_export(folder: Path, name: str, number: int, path: Path) -> None:
    """Write one head of a clip as an export; raises UserError as ``export_files`` does, and OSError."""
    path.parent.mkdir(exist_ok=True)
    export_files([folder / track_file(number)], name, path)


def _report(folder: Path) -> dict[str, Any]:
    try:
        report = read_json(folder / REPORT, "report", MAX_REPORT_BYTES)
    except UserError:
        return {}
    return report if isinstance(report, dict) else {}
