"""The ``flowface`` command. Each command imports its own heavy modules, so that ``--help`` is instant."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import traceback
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from backend.aligners import DEFAULT_ALIGNER
from backend.alignment_benchmark import cli as alignment_benchmark_cli
from backend.cli_options import Frames, Weights
from backend.errors import UserError
from backend.evaluation.cli import evaluate
from backend.fitting_benchmark import cli as fitting_benchmark_cli
from backend.head_model import cli as head_model_cli
from backend.server.cli import serve
from backend.training import cli as training_cli

LAST_FRAME = 2**31 - 1  # ranges are cut to the footage; this is the largest number the protocol takes

app = typer.Typer(
    name="flowface",
    help="Facial performance tracking for Blender: footage in, an animated, editable head and camera out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.command()(serve)
app.command()(evaluate)
app.command()(training_cli.train)
app.command()(training_cli.train_render)
app.command()(training_cli.train_sheet)
app.command()(training_cli.train_measure)
app.command()(training_cli.train_export)
app.add_typer(head_model_cli.app, name="head")
fitting_benchmark_cli.app.command()(alignment_benchmark_cli.align)
app.add_typer(fitting_benchmark_cli.app, name="benchmark")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"flowface {metadata.version('flowface')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def parse_frames(text: str) -> tuple[int, int]:
    """``A:B`` (both included), ``A:``, ``:B`` or ``A`` as (first, last); raises UserError (``bad_frames``)."""
    match = re.fullmatch(r"(\d{1,9})?(:)?(\d{1,9})?", text.strip())
    if match and (match[1] or match[3]):
        first = int(match[1] or 0)
        last = int(match[3]) if match[3] else LAST_FRAME if match[2] else first
        if first <= last:
            return first, last
    raise UserError(
        "bad_frames",
        f"“{text}” is not a frame range: expected FIRST:LAST, both included, with FIRST not after LAST.",
        "A video's frames count from 1, an image sequence's as in its file names.",
    )


def parse_faces(texts: list[str]) -> dict[str, tuple[float, float, float, float]]:
    """``[VIEW=]X,Y,W,H`` each, as a map by view, "" for the first; raises UserError (``bad_box``)."""
    split = (text.rpartition("=") for text in texts)
    return {view.strip(): parse_box(box) for view, _, box in split}


def parse_box(text: str) -> tuple[float, float, float, float]:
    """``x,y,w,h`` in pixels; raises UserError (``bad_box``)."""
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        pass
    else:
        if width > 0 and height > 0 and all(abs(value) < 1e6 for value in (x, y, width, height)):
            return x, y, width, height
    raise UserError("bad_box", f"“{text}” is not a face box: expected LEFT,TOP,WIDTH,HEIGHT in pixels.")


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
                "bad_offset",
                f"“{text}” is no offset: expected VIEW=SECONDS, the view by its file's name or its number from 1.",
                "It is how far into its own footage that view is when the first view begins.",
            )
    return offsets


@app.command()
def track(
    footage: Annotated[
        list[Path],
        typer.Argument(
            help="A video, a still, or any image of a numbered sequence; one for each camera that saw the take. "
            "Several images of one sequence are several views of one moment.",
            metavar="FOOTAGE...",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    frames: Frames = "",
    face: Annotated[
        list[str] | None,
        typer.Option(
            help="Box around the face to track, in pixels of the first footage or of the view named. May be repeated.",
            metavar="[VIEW=]X,Y,W,H",
        ),
    ] = None,
    head: Annotated[str, typer.Option(help="Head model to fit.")] = "open",
    aligner: Annotated[
        str,
        typer.Option(
            help="What finds the face's points: mediapipe, the network flowface, or both: combined.", metavar="NAME"
        ),
    ] = DEFAULT_ALIGNER,
    weights: Weights = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(
            help="The cameras, if they are known: OpenCV's YAML, XML or JSON, or COLMAP's text. May be repeated."
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
    neutral: Annotated[
        Path | None,
        typer.Option(help="This person's neutral face: an earlier track.npz, or a mesh of the head (.obj)."),
    ] = None,
    deform: Annotated[
        str,
        typer.Option(
            help="Where the shape may leave what the head model knows: nose, face or none. "
            "By default the nose, if there are several views.",
            metavar="REGION",
        ),
    ] = "",
    match_skin: Annotated[
        bool,
        typer.Option(
            "--match-skin/--no-match-skin",
            help="Place several views by the skin that they show alike, not by the face's points alone.",
        ),
    ] = True,
    endpoint: Annotated[str, typer.Option(help="Backend to use, such as tcp://127.0.0.1:5055.")] = "",
    blend: Annotated[bool, typer.Option("--blend/--no-blend", help="Write scene.blend.")] = True,
    overlay: Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write the overlay picture or video.")] = True,
) -> None:
    """Track one face through footage of one or more cameras; writes track.npz, report.json, overlay and scene.blend."""
    from backend.tracking import TrackRequest
    from backend.tracking_view import track_with_progress

    request = TrackRequest(
        footage=tuple(footage),
        out=out,
        frames=parse_frames(frames) if frames else None,
        faces=parse_faces(face or []),
        head=head,
        aligner=aligner,
        weights=weights,
        endpoint=endpoint or None,
        blend=blend,
        overlay=overlay,
        offsets=parse_offsets(offset or []),
        calibration=tuple(calibration or ()),
        calibration_unit=calibration_unit,
        neutral=neutral,
        deform=deform,
        match_skin=match_skin,
    )
    track_with_progress(request)


@app.command()
def compare(
    footage: Annotated[Path, typer.Argument(help="A video, a still, or an image of a sequence.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A video (.mp4), or close-ups of some frames (.png).")
    ] = Path("aligners.png"),
    aligner: Annotated[
        str, typer.Option(help="Aligners to compare, with commas between: mediapipe, flowface, combined.")
    ] = "mediapipe,flowface",
    weights: Weights = None,
    frames: Frames = "",
    pictures: Annotated[int, typer.Option(help="How many frames a .png shows.", min=1, max=40)] = 4,
    head: Annotated[str, typer.Option(help="Head whose points the network is asked for.")] = "open",
) -> None:
    """Show what the aligners see in the same footage, side by side, each point in the colour of its uncertainty."""
    from backend.comparison import ComparisonOptions, compare_aligners

    names = tuple(dict.fromkeys(name.strip() for name in aligner.split(",") if name.strip()))
    span = parse_frames(frames) if frames else None
    typer.echo(compare_aligners(ComparisonOptions(footage, out, names, weights, head, span, pictures)))


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path("flowface-demo"),
) -> None:
    """Track a real photograph and a rendered clip of known truth, and say how far from the truth the track is."""
    from backend.demo.run import run_demo

    run_demo(out)


def _report_bug(error: Exception) -> str:
    """Put the traceback into a file and say where it is."""
    handle, path = tempfile.mkstemp(prefix="flowface-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return f"FlowFace stopped because of an error in itself ({type(error).__name__}); please report it with {path}."


def main() -> None:
    """Run the command line: 0 success, 1 an error of FlowFace itself, 2 what the user can mend, 130 interrupted."""
    try:
        app()
    except UserError as error:
        typer.echo(f"flowface: {error.message}", err=True)
        if error.hint:
            typer.echo(f"  {error.hint}", err=True)
        sys.exit(2)
    except Exception as error:
        typer.echo(_report_bug(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
