"""What a take can be written as, by name: a file, or a folder of files.

A new one is a new file and a line at the end of this one; command line, jobs, Blender and batches then offer it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ErrorCode, UserError
from backend.progress import OnProgress, ShouldCancel
from protocol.offers import ExportInfo

if TYPE_CHECKING:
    from backend.export.takes import ExportTake
    from backend.head_model.model import HeadModel
    from backend.track.types import Track

Write = Callable[["Track", "HeadModel"], bytes]
"""Makes a file's bytes from a track and the head that it was fitted with."""
WriteFolder = Callable[[Sequence["ExportTake"], Path, OnProgress, ShouldCancel], None]
"""Writes files of one take or more into a folder that is there and empty. It tells how far it is, looks at least once a
second whether it is called off, and then raises ``Cancelled``."""


@dataclass(frozen=True)
class RegisteredExport:
    """An export by name: what clients are told of it, and the function that makes the file, or fills the folder."""

    info: ExportInfo
    write: Write | None = None
    write_folder: WriteFolder | None = None
    several_takes: bool = False


EXPORTS: dict[str, RegisteredExport] = {}
"""By name, in the order in which they are offered."""


def register_export(info: ExportInfo, write: Write) -> None:
    """Let jobs name an export of one file."""
    EXPORTS[info.name] = RegisteredExport(info, write)


def register_folder_export(
    name: str, title: str, help: str, write: WriteFolder, *, several_takes: bool = False
) -> None:
    """Let jobs name an export of several files; one of ``several_takes`` writes any number of them into one folder."""
    info = ExportInfo(name, title, ".zip", help, folder=True)
    EXPORTS[name] = RegisteredExport(info, write_folder=write, several_takes=several_takes)


def available_exports() -> tuple[ExportInfo, ...]:
    """The exports that a job may name."""
    return tuple(export.info for export in EXPORTS.values())


def exports_in_words() -> str:
    """All exports with what is in them, in one sentence for the command line's help."""
    return (
        "; ".join(
            f"{info.name}: {info.help} ({'folder' if info.folder else info.suffix})" for info in available_exports()
        )
        + "."
    )


def require_export(name: str, also: Iterable[str] = ()) -> ExportInfo:
    """The export called ``name``; raises UserError ``unknown_export`` for a name that none has.

    ``also`` are names that the sentence is to tell besides.
    """
    if name not in EXPORTS:
        known = "”, “".join([*EXPORTS, *also])
        raise UserError(ErrorCode.UNKNOWN_EXPORT, f"There is no export “{name[:60]}”; there is “{known}”.")
    return EXPORTS[name].info


def export_track(track: Track, name: str) -> bytes:
    """A track as the bytes of the export called ``name``, which is one of one file.

    Raises:
        UserError: ``unknown_export``; ``head_unknown`` and ``head_changed`` where the track's head is not there as it
            was; what the export itself cannot do.
    """
    from backend.export.takes import head_of

    require_export(name)
    write = EXPORTS[name].write
    if write is None:
        raise UserError(ErrorCode.UNKNOWN_EXPORT, f"The export “{name}” is a folder of files, not one.")
    return write(track, head_of(track))


def export_takes(
    takes: Sequence[ExportTake], name: str, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel
) -> None:
    """Write takes as the export called ``name``, which is a folder of files, into ``folder``, which is there and empty.

    Raises:
        UserError: ``unknown_export``, also where it is of one file; ``bad_export`` for several takes where the export
            is of one; what the export itself cannot do.
        Cancelled: ``should_cancel`` said so.
    """
    require_export(name)
    export = EXPORTS[name]
    if export.write_folder is None:
        raise UserError(ErrorCode.UNKNOWN_EXPORT, f"The export “{name}” is one file, not a folder of files.")
    if len(takes) != 1 and not export.several_takes:
        sentence = f"The export “{name}” is of one take; {len(takes)} were named."
        raise UserError(ErrorCode.BAD_EXPORT, sentence, "Export them one by one.")
    export.write_folder(takes, folder, on_progress, should_cancel)


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


def _arkit_csv(track: Track, head: HeadModel) -> bytes:
    from backend.export.arkit_files import arkit_csv

    return arkit_csv(track, head)


register_export(ExportInfo("arkit_csv", "ARKit Weights (CSV)", ".csv", "frame, time and the 52 weights"), _arkit_csv)


def _arkit_json(track: Track, head: HeadModel) -> bytes:
    from backend.export.arkit_files import arkit_json

    return arkit_json(track, head)


register_export(
    ExportInfo(
        "arkit_json", "ARKit Weights (JSON)", ".json", "the 52 names, and frame, time and weights of each frame"
    ),
    _arkit_json,
)


def _meshes(format: str) -> WriteFolder:
    def write(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        from backend.export.meshes.sequence import write_sequence

        write_sequence(format, takes[0], folder, on_progress, should_cancel)

    return write


register_folder_export("obj", "Meshes (OBJ)", "the head of each frame, of quads, in metres with y up", _meshes("obj"))
register_folder_export("ply", "Meshes (PLY)", "the head of each frame, in metres with y up", _meshes("ply"))
register_folder_export("glb", "Meshes (GLB)", "the head of each frame as binary glTF", _meshes("glb"))


def _wrinkles(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    from backend.export.wrinkles.write import write_wrinkles

    write_wrinkles(takes[0], folder, on_progress, should_cancel)


register_folder_export(
    "wrinkles",
    "Wrinkles (PNG)",
    "three displacement maps with their scale, and displacement and normal maps of each frame",
    _wrinkles,
)


def _chan(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    from backend.export.cameras.chan import write_chan

    write_chan(takes[0], folder, on_progress, should_cancel)


register_folder_export("chan", "Cameras (Nuke .chan)", "a file for each camera, for Nuke, Natron and others", _chan)


def _colmap(*, head_stands_still: bool) -> WriteFolder:
    def write(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        from backend.export.cameras.colmap import write_colmap

        write_colmap(takes[0], folder, on_progress, should_cancel, head_stands_still=head_stands_still)

    return write


register_folder_export(
    "colmap", "Cameras (COLMAP)", "cameras.txt and images.txt in the take's world", _colmap(head_stands_still=False)
)
register_folder_export(
    "colmap_head",
    "Cameras round the Head (COLMAP)",
    "a COLMAP model in which the head stands still, with its vertices as points",
    _colmap(head_stands_still=True),
)


def _nerfstudio(track: Track, _head: HeadModel) -> bytes:
    from backend.export.cameras.nerfstudio import camera_transforms

    return camera_transforms(track)


register_export(
    ExportInfo(
        "camera_nerfstudio", "Cameras (nerfstudio)", ".json", "transforms.json in the take's world, no pictures"
    ),
    _nerfstudio,
)


def _speech(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    from backend.export.speech.write import write_speech_data

    write_speech_data(takes, folder, on_progress, should_cancel)


register_folder_export(
    "speech",
    "Speech data (VOCASET)",
    "heads and sound for FaceFormer and CodeTalker, of takes called SPEAKER_…",
    _speech,
    several_takes=True,
)


def _insta(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    from backend.export.avatars.insta import write_insta

    write_insta(takes[0], folder, on_progress, should_cancel)


register_folder_export(
    "insta",
    "Head Avatar (INSTA)",
    "pictures with masks, depth, meshes and cameras that INSTA trains avatars from",
    _insta,
)


def _nerf(takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
    from backend.export.avatars.nerf import write_nerf

    write_nerf(takes[0], folder, on_progress, should_cancel)


register_folder_export(
    "nerf", "NeRF (transforms.json)", "pictures, masks and cameras about the head, as nerfstudio reads them", _nerf
)


def _gaussian_avatars(
    takes: Sequence[ExportTake], folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel
) -> None:
    from backend.export.avatars.gaussian import write_gaussian_avatars

    write_gaussian_avatars(takes[0], folder, on_progress, should_cancel)


register_folder_export(
    "gaussian_avatars",
    "Head Avatar (GaussianAvatars)",
    "pictures, masks, cameras and FLAME's parameters as VHAP writes them; takes of FLAME heads only",
    _gaussian_avatars,
)
