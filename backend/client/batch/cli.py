"""``flowface batch``: many clips to results, on this machine or on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.alignment.registry import DEFAULT_ALIGNER, aligners_in_words
from backend.client.address import EndpointOption, KeyOption, address
from backend.client.blender_exports import any_export, is_blenders
from backend.client.cli import DEFAULT_OPTIONS, parse_lenses
from backend.errors import ErrorCode, UserError
from backend.terminal.declared_options import with_options
from backend.terminal.options import Frames, parse_frames
from protocol.options import SolveOptions

if TYPE_CHECKING:
    from backend.client.batch.executors import Executor

SOME_FAILED = 3  # exit status


@with_options
def batch(
    clips: Annotated[
        Path,
        typer.Argument(
            help="A folder, whose videos and numbered sequences are the clips, subfolders' included; a .txt with the "
            "footage of a clip in each line; or a .csv whose first line names its columns: footage, and any of name "
            "and the options of “flowface track” (several values of one are parted by |).",
            metavar="FOLDER|LIST",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results, a folder a clip in it.")],
    frames: Frames = "",
    all_faces: Annotated[bool, typer.Option("--all-faces", help="Track every face of each clip.")] = False,
    head: Annotated[str, typer.Option(help="Head model to fit.")] = "open",
    aligner: Annotated[
        str, typer.Option(help=f"What finds the face's points. {aligners_in_words()}", metavar="NAME")
    ] = DEFAULT_ALIGNER,
    focal_mm: Annotated[
        float | None, typer.Option(help="Focal length of every clip's lens, in millimetres.", metavar="MM")
    ] = None,
    sensor_mm: Annotated[
        float | None,
        typer.Option(help="What the longer side of the pictures is on the sensor; 36 without it.", metavar="MM"),
    ] = None,
    options: SolveOptions = DEFAULT_OPTIONS,
    on: Annotated[
        str,
        typer.Option(
            help="A Ray cluster to track on: ray://HOST:10001, or ray://auto on one of its machines. Needs the extra "
            "“ray”, and FlowFace on every machine of it.",
            metavar="ray://…",
        ),
    ] = "",
    cpus: Annotated[int, typer.Option(help="CPUs of the cluster that a clip takes.", min=1)] = 1,
    gpus: Annotated[
        float, typer.Option(help="GPUs of the cluster that a clip takes, such as 0.25; 0 is none.", min=0)
    ] = 0.0,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    blend: Annotated[bool, typer.Option("--blend/--no-blend", help="Write a scene.blend of each clip.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write an overlay of each clip.")] = False,
    export: Annotated[
        list[str] | None,
        typer.Option(
            help="What else to write of each clip, into its folder's “export”: a name of “flowface export”. May be "
            "repeated; a table's column “export” has those of a clip, parted by |.",
            metavar="NAME",
        ),
    ] = None,
    redo: Annotated[
        bool, typer.Option("--redo", help="Track clips again that were tracked with other footage or options.")
    ] = False,
) -> None:
    """Track many clips, each into a folder of its own; the same command goes on where it was stopped.

    Clips that are done stay, those that failed are tried again. The exit status is 3 where clips failed.
    """
    from backend.client.batch.clips import read_clips
    from backend.client.batch.ledger import ClipState
    from backend.client.batch.run import Batch
    from backend.client.batch.terminal import batch_with_progress
    from backend.client.request import TrackRequest
    from backend.client.scene_writer import needed_blender, require_blender

    defaults = TrackRequest(
        footage=(),
        out=out,
        frames=parse_frames(frames) if frames else None,
        all_faces=all_faces,
        head=head,
        aligner=aligner,
        blend=blend,
        overlay=overlay,
        focal_mm=parse_lenses([] if focal_mm is None else [f"{focal_mm}"], "--focal-mm", "MM"),
        sensor_mm=parse_lenses([] if sensor_mm is None else [f"{sensor_mm}"], "--sensor-mm", "MM"),
        options=options,
    )
    blender = require_blender(defaults)
    exports = [any_export(name).name for name in export or []]
    found = read_clips(clips, defaults, exports)
    by_blender = next((name for clip in found for name in clip.exports if is_blenders(name)), "")
    if by_blender:
        needed_blender(f"The export “{by_blender}”", "leave it out")
    asked = Batch(found, out, redo, overlay, blender)
    records = batch_with_progress(asked, _executor(on, address(endpoint, key), cpus, gpus))
    if any(record.state is not ClipState.DONE or record.problem for record in records):
        raise typer.Exit(SOME_FAILED)


def _executor(on: str, endpoint: str | None, cpus: int, gpus: float) -> Executor:
    if not on:
        from backend.client.batch.local import LocalBackend

        return LocalBackend(endpoint)
    if endpoint:
        sentence = "A batch is tracked by a backend (--endpoint) or on a cluster (--on), not by both."
        raise UserError(ErrorCode.BAD_ENDPOINT, sentence, "Leave one of them out.")
    from backend.client.batch.ray_cluster import RayCluster

    return RayCluster(on, cpus, gpus)
