"""The files that a take can be written as, by name. A new one is a new file and a line at the end of this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.errors import ErrorCode, UserError
from protocol.offers import ExportInfo

if TYPE_CHECKING:
    from backend.head_model.model import HeadModel
    from backend.track.types import Track

Write = Callable[["Track", "HeadModel"], bytes]
"""Makes a file's bytes from a track and the head that it was fitted with."""


@dataclass(frozen=True)
class RegisteredExport:
    """An export by name: what clients are told of it, and the function that makes the file."""

    info: ExportInfo
    write: Write


EXPORTS: dict[str, RegisteredExport] = {}
"""By name, in the order in which they are offered."""


def register_export(info: ExportInfo, write: Write) -> None:
    """Let jobs name an export."""
    EXPORTS[info.name] = RegisteredExport(info, write)


def available_exports() -> tuple[ExportInfo, ...]:
    """The exports that a job may name."""
    return tuple(export.info for export in EXPORTS.values())


def exports_in_words() -> str:
    """All exports with what is in them, in one sentence for the command line's help."""
    return "; ".join(f"{info.name}: {info.help} ({info.suffix})" for info in available_exports()) + "."


def require_export(name: str) -> ExportInfo:
    """The export called ``name``; raises UserError ``unknown_export`` for a name that none has."""
    if name not in EXPORTS:
        known = "”, “".join(EXPORTS)
        raise UserError(ErrorCode.UNKNOWN_EXPORT, f"There is no export “{name[:60]}”; there is “{known}”.")
    return EXPORTS[name].info


def export_track(track: Track, name: str) -> bytes:
    """A track as the bytes of the export called ``name``.

    Raises:
        UserError: ``unknown_export``; ``head_unknown`` and ``head_changed`` where the track's head is not there as it
            was; what the export itself cannot do.
    """
    from backend.head_model.library import load_head_of

    require_export(name)
    head = load_head_of(track.head_id, track.head_hash)
    if head.hash != track.head_hash:
        sentence = f"The head “{track.head_id}” has changed since the footage was tracked."
        raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
    return EXPORTS[name].write(track, head)


def _csv(track: Track, head: HeadModel) -> bytes:
    from backend.export.csv_table import csv_table

    return csv_table(track, head)


register_export(ExportInfo("csv", "Table (CSV)", ".csv", "head pose, gaze and the 52 ARKit weights by frame"), _csv)


def _live_link(track: Track, head: HeadModel) -> bytes:
    from backend.export.live_link import live_link_csv

    return live_link_csv(track, head)


register_export(
    ExportInfo("live_link", "Live Link Face (CSV)", ".csv", "what Epic's app records: 61 columns with a timecode"),
    _live_link,
)


def _json(track: Track, head: HeadModel) -> bytes:
    from backend.export.json_track import json_track

    return json_track(track, head)


register_export(ExportInfo("json", "Track (JSON)", ".json", "the performance and its cameras, for scripts"), _json)
