"""``flowface track``: footage to results. ``flowface refine``: a take by corrections. ``flowface export``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from backend.alignment.registry import DEFAULT_ALIGNER, aligners_in_words
from backend.client.address import EndpointOption, KeyOption, address
from backend.client.blender_exports import all_in_words, any_export, is_export
from backend.errors import ErrorCode, UserError
from backend.terminal.declared_options import with_options
from backend.terminal.options import Frames, parse_frames
from protocol.options import SolveOptions

DEFAULT_OPTIONS = SolveOptions()


Box = tuple[float, float, float, float]


def parse_faces(texts: list[str]) -> dict[str, Box]:
    """``[VIEW=]X,Y,W,H`` each, as a map by view, "" for the first; raises UserError (``bad_box``).

    Of several of one view the first counts, the others are ``parse_further_faces``.
    """
    faces: dict[str, Box] = {}
    for view, box in _faces_in_order(texts):
        faces.setdefault(view, box)
    return faces


def parse_further_faces(texts: list[str]) -> tuple[tuple[str, Box], ...]:
    """The view and the box of each face after the first of its view; raises as ``parse_faces``."""
    seen: set[str] = set()
    further = []
    for view, box in _faces_in_order(texts):
        if view in seen:
            further.append((view, box))
        seen.add(view)
    return tuple(further)


def _faces_in_order(texts: list[str]) -> list[tuple[str, Box]]:
    split = (text.rpartition("=") for text in texts)
    return [(view.strip(), parse_box(box)) for view, _, box in split]


def parse_box(text: str) -> tuple[float, float, float, float]:
    """``x,y,w,h`` in pixels; raises UserError (``bad_box``)."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        pass
    else:
        if width > 0 and height > 0 and all(abs(value) < 1e6 for value in (x, y, width, height)):
            return x, y, width, height
    raise UserError(ErrorCode.BAD_BOX, f"“{text}” is not a face box: expected LEFT,TOP,WIDTH,HEIGHT in pixels.")


def parse_offsets(texts: list[str]) -> dict[str, float]:
    """``VIEW=SECONDS`` each, as a map; raises UserError (``bad_offset``)."""
    offsets = {}
    for text in texts:
        view, _, seconds = text.rpartition("=")
        try:
            offsets[view.strip()] = float(seconds)
        except ValueError:
            view = ""
        if not view.strip() or not abs(offsets[view.strip()]) < 1e6:
            raise UserError(
                ErrorCode.BAD_OFFSET,
                f"“{text}” is no offset: expected VIEW=SECONDS, the view by its file's name or its number from 1.",
                "It is how far into its own footage that view is when the first view begins.",
            )
    return offsets


def parse_lenses(
    texts: list[str], flag: str, what: str, count: int = 1, of: str = "VIEW"
) -> dict[str, tuple[float, ...]]:
    """``[VIEW=]NUMBER[,NUMBER]`` each, as a map by view, "" for every view; raises UserError (``bad_lens``).

    ``of`` is what help calls a view.
    """
    lenses = {}
    for text in texts:
        view, _, numbers = text.rpartition("=")
        try:
            values = tuple(float(part) for part in numbers.split(","))
        except ValueError:
            values = ()
        if len(values) != count or not all(abs(value) < 1e6 for value in values):
            raise UserError(ErrorCode.BAD_LENS, f"“{text}” is no value of {flag}: expected [{of}=]{what}.")
        lenses[view.strip()] = values
    return lenses


@with_options
def track(
    footage: Annotated[
        list[Path],
        typer.Argument(
            help="A video, a still, or a sequence: its folder, a pattern (%04d, ####, *), any of its images, or a .txt "
            "that lists them; one for each camera that saw the take. Several images of one sequence are several views "
            "of one synchronised frame.",
            metavar="FOOTAGE...",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    frames: Frames = "",
    face: Annotated[
        list[str] | None,
        typer.Option(
            help="Box around the face to track, in pixels of the first footage or of the view named. May be repeated: "
            "several boxes in the footage of one camera are as many heads of one take.",
            metavar="[VIEW=]X,Y,W,H",
        ),
    ] = None,
    all_faces: Annotated[
        bool,
        typer.Option(
            "--all-faces", help="Track every face of the footage (of one camera), each as a head of the same take."
        ),
    ] = False,
    head: Annotated[str, typer.Option(help="Head model to fit.")] = "open",
    aligner: Annotated[
        str,
        typer.Option(help=f"What finds the face's points. {aligners_in_words()}", metavar="NAME"),
    ] = DEFAULT_ALIGNER,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(
            help="The cameras, if known: files of OpenCV, ROS, COLMAP, nerfstudio or Kalibr. May be repeated.",
        ),
    ] = None,
    calibration_unit: Annotated[
        str, typer.Option(help="Unit of the cameras' positions: m, cm, mm or unknown.", metavar="UNIT")
    ] = "",
    offset: Annotated[
        list[str] | None,
        typer.Option(
            help="How many seconds into its own footage a view is when the first one begins. May be repeated.",
            metavar="VIEW=SECONDS",
        ),
    ] = None,
    focal_mm: Annotated[
        list[str] | None,
        typer.Option(
            help="Focal length of the lens of every view, or of the view named, in millimetres. May be repeated.",
            metavar="[VIEW=]MM",
        ),
    ] = None,
    sensor_mm: Annotated[
        list[str] | None,
        typer.Option(
            help="What the longer side of the picture is on the sensor; 36, full frame, without it: right for focal "
            "lengths told as equivalents to it. May be repeated.",
            metavar="[VIEW=]MM",
        ),
    ] = None,
    principal_point: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the lens looks, in pixels: not the middle of a picture that was cropped. May be repeated.",
            metavar="[VIEW=]X,Y",
        ),
    ] = None,
    neutral: Annotated[
        Path | None,
        typer.Option(
            help="This person's neutral face: a picture of it, an earlier track.npz, a mesh of the head (.obj), or "
            "“mica”: MICA predicts it (needs FLAME; see `flowface head add-mica`)."
        ),
    ] = None,
    neutral_frames: Annotated[
        str,
        typer.Option(
            help="First and last frame in which the face is neutral, or one such frame; the calmest where left out.",
            metavar="A[:B]",
        ),
    ] = "",
    options: SolveOptions = DEFAULT_OPTIONS,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
    blend: Annotated[bool, typer.Option("--blend/--no-blend", help="Write scene.blend.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write the overlay picture or video.")] = True,
) -> None:
    """Track a face, or several, through footage of one or more cameras; writes track.npz (and track_2.npz, …),
    report.json, overlay and scene.blend."""
    from backend.client.request import TrackRequest
    from backend.client.terminal import track_with_progress

    request = TrackRequest(
        footage=tuple(footage),
        out=out,
        frames=parse_frames(frames) if frames else None,
        faces=parse_faces(face or []),
        further_faces=parse_further_faces(face or []),
        all_faces=all_faces,
        head=head,
        aligner=aligner,
        endpoint=address(endpoint, key),
        blend=blend,
        overlay=overlay,
        offsets=parse_offsets(offset or []),
        focal_mm=parse_lenses(focal_mm or [], "--focal-mm", "MM"),
        sensor_mm=parse_lenses(sensor_mm or [], "--sensor-mm", "MM"),
        principal_points=parse_lenses(principal_point or [], "--principal-point", "X,Y", 2),
        calibration=tuple(calibration or ()),
        calibration_unit=calibration_unit,
        neutral=neutral,
        neutral_frames=parse_frames(neutral_frames) if neutral_frames else None,
        options=options,
    )
    track_with_progress(request)


def refine(
    take: Annotated[
        str,
        typer.Argument(
            help="A folder of results with a track.npz and its alignments.npz, or the id of a finished job.",
            metavar="JOB|FOLDER",
            show_default=False,
        ),
    ],
    corrections: Annotated[
        Path,
        typer.Option("--corrections", "--pins", help="A JSON file with lists of pins, masks and keys; see the README."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    frames: Frames = "",
    head_number: Annotated[
        int, typer.Option("--head-number", help="Which head of a take of several faces.", min=1)
    ] = 1,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write the overlay, too.")] = False,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
) -> None:
    """Solve a tracked take again between pins, masks and keys; all frames that they do not reach stay as they are."""
    from backend.client.refine import RefineRequest
    from backend.client.terminal import refine_with_progress

    span = parse_frames(frames) if frames else None
    refine_with_progress(RefineRequest(take, corrections, out, span, head_number, overlay, address(endpoint, key)))


def export(
    takes: Annotated[
        list[str],
        typer.Argument(
            help="What to write, unless --format names it, and of which take: the id of a finished job, a track.npz, "
            "or a folder of results with one. Some exports take several.",
            metavar="[NAME] JOB|TRACK…",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, or the new folder, to write.")],
    to: Annotated[str, typer.Option("--format", help=f"What to write. {all_in_words()}", metavar="NAME")] = "",
    head_number: Annotated[
        int, typer.Option("--head-number", help="Which head of a take of several faces.", min=1)
    ] = 1,
    endpoint: EndpointOption = "",
    key: KeyOption = "",
) -> None:
    """Write tracked takes for other tools: “flowface export csv results --out take.csv”."""
    from backend.client.export import ExportRequest
    from backend.client.terminal import export_with_progress

    name, named = (to, takes) if to else (takes[0], takes[1:])
    if not to and os.path.exists(name) and not is_export(name):  # noqa: PTH110 - Path.exists raises for long names
        sentence = f"What {name} is to be written as is not named."
        raise UserError(ErrorCode.UNKNOWN_EXPORT, sentence, f"Name it first: flowface export csv {name} --out FILE.")
    if not named:
        any_export(name)
        raise UserError(ErrorCode.BAD_EXPORT, f"Nothing is named to be exported as “{name}”.", "Name a take after it.")
    export_with_progress(ExportRequest(named, name, out, address(endpoint, key), head_number))


def transfer(
    mesh: Annotated[Path, typer.Argument(help="A face mesh: .obj, or .npz with vertices and triangles.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    endpoint: EndpointOption = "",
    key: KeyOption = "",
) -> None:
    """Make the 52 ARKit actions for a face mesh that has none, and a sheet to judge them by."""
    from rich.console import Console

    from backend.client.terminal import ProgressView
    from backend.client.transfer import transfer_to_folder

    console = Console()
    with ProgressView(console) as view:
        figures = transfer_to_folder(mesh, out, address(endpoint, key), view.on_status)
    console.print(", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()))
    console.print(f"Look at {out / 'sheet.png'}", markup=False, highlight=False)
