"""A folder with a mesh file for each frame of a take, whatever the format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.errors import Cancelled
from backend.export.meshes.glb import glb_writer
from backend.export.meshes.obj import obj_writer
from backend.export.meshes.ply import ply_writer
from backend.export.meshes.posed import PosedHead, posed_heads
from backend.export.takes import ExportTake
from backend.export.words import README, Y_UP_WORDS, readme
from backend.head_model.model import HeadModel
from backend.progress import JobProgress, OnProgress, ShouldCancel

WRITERS: dict[str, Callable[[HeadModel], Callable[[PosedHead], bytes]]] = {
    "obj": obj_writer,
    "ply": ply_writer,
    "glb": glb_writer,
}
"""By name, which is the files' suffix, too."""
ABOUT = {
    "obj": "Quads where the head has quads, the texture atlas with its seams, a group for each part of the head.",
    "ply": "Binary PLY with quads where the head has quads. s and t have one value a vertex: along seams of the atlas "
    "take OBJ or GLB. PLY has no axes of its own: in Blender's importer choose Forward -Z and Up Y.",
    "glb": "Binary glTF of triangles. The first vertices are the head's, in its order; those after them repeat some "
    "along the seams of the texture atlas.",
}


def write_sequence(
    format: str, take: ExportTake, folder: Path, on_progress: OnProgress, should_cancel: ShouldCancel
) -> None:
    """Write ``head_<frame>.<format>`` for each frame of a take, bridged ones included, and a README.txt.

    Every file has the same vertices and faces in the same order, places in metres in the world of ``Y_UP``.

    Raises:
        UserError: ``head_changed``.
        Cancelled: ``should_cancel`` said so; it is asked before each file.
    """
    track = take.track
    write = WRITERS[format](take.head)
    for done, posed in enumerate(posed_heads(track, take.head)):
        if should_cancel():
            raise Cancelled
        (folder / f"head_{track.frames[posed.index]:06d}.{format}").write_bytes(write(posed))
        total = len(track.frames)
        on_progress(JobProgress(f"writing {format.upper()}", (done + 1) / total, done + 1, total))
    same = "One mesh for each frame, with the same vertices, faces and texture coordinates in the same order."
    (folder / README).write_bytes(readme(take, [f"{same} {ABOUT[format]}", Y_UP_WORDS]))
