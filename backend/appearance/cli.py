"""``flowface driver …``: a person's driver learnt from a tracked take, and footage driven by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from backend.errors import Cancelled, ErrorCode, UserError
from backend.terminal.options import Frames, parse_frames
from backend.training.stop import Stop

if TYPE_CHECKING:
    from backend.appearance.measure import Comparison

app = typer.Typer(
    help="Drivers: learn one person's from a tracked take, and drive footage by it at frame rate.", no_args_is_help=True
)
INTERRUPTED = 130
SUFFIX = ".npz"
TOLD_EVERY = 1.0
"""Seconds between two lines of progress for a program that reads them."""
SHORTEST_PX, LONGEST_PX = 1.0, 1e6

T = TypeVar("T")
OnProgress = Callable[[str, int, int], None]
ShouldCancel = Callable[[], bool]

Take = Annotated[Path, typer.Argument(help="Folder of a tracked take.")]
DriverFile = Annotated[Path, typer.Option("--driver", help="The person's driver (.npz).")]
FocalPx = Annotated[
    float | None, typer.Option(help="The camera's focal length in pixels; by default as the take's camera has it.")
]
Face = Annotated[int, typer.Option(help="Which of the take's heads, counted from 1.", min=1, max=9)]


@app.command()
def train(
    take: Take,
    out: Annotated[Path, typer.Option("--out", "-o", help="The driver's file (.npz).")],
    face: Face = 1,
    whole: Annotated[
        bool, typer.Option("--whole", help="Learn from the last fifth of the take, too; nothing is measured then.")
    ] = False,
    parent_pid: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Learn a person's driver from a tracked take, and measure it on the take's last fifth.

    Ctrl+C stops; the same command goes on.
    """
    _require_writable(out)

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        from backend.appearance.train import TrainRequest
        from backend.appearance.train import train as run

        outcome = run(TrainRequest(take, out, face, whole), on_progress, should_cancel)
        typer.echo(f"Learnt from {outcome.learnt} frames: {out}")
        if outcome.comparison is not None:
            _say(outcome.comparison)

    _shown(work, parent_pid, goes_on=True)


@app.command()
def track(
    footage: Annotated[Path, typer.Argument(help="A video, a still, or a sequence, of one camera.")],
    driver: DriverFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; made where it is missing.")],
    frames: Frames = "",
    focal_px: FocalPx = None,
    overlay: Annotated[bool, typer.Option(help="Write the overlay, too.")] = True,
) -> None:
    """Drive footage by a person's driver; writes track.npz, report.json and the overlay, as `flowface track` does."""
    _require_focal(focal_px)
    within = parse_frames(frames) if frames else None

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        from backend.appearance.results import drive_footage

        report = drive_footage(footage, driver, out, within, focal_px, overlay, on_progress, should_cancel)
        error = report["reprojection_error_percent_iod"]["mean"]
        typer.echo(f"{report['frames_tracked']} of {report['frames']} frames, {report['milliseconds']:.1f} ms each.")
        typer.echo(f"The head's points lie {error:.2f} % of the inter-ocular distance from those seen.")
        typer.echo(f"Written to {out}")

    _shown(work)


@app.command()
def measure(take: Take, driver: DriverFile, face: Face = 1, frames: Frames = "") -> None:
    """Measure a driver beside the fit of a tracked take of the same person; on its last fifth by default."""
    within = parse_frames(frames) if frames else None

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        from backend.appearance.measure import compare
        from backend.appearance.storage import load_driver
        from backend.appearance.train import load_take, split
        from backend.pipeline.take_frames import frames_within

        tracked, model = load_take(take, face), load_driver(driver)
        if tracked.head_hash != model.person.head_hash:
            sentence = f"{take} was tracked with another head than the driver {driver} is of."
            raise UserError(ErrorCode.OTHER_HEAD, sentence, "Name a take of the same head.")
        index = split(tracked)[1] if within is None else frames_within(tracked, within, str(take))
        found = compare(model, tracked, index, on_progress, should_cancel)
        if found is None:
            raise UserError(ErrorCode.FACE_NOT_FOUND, "Fewer than three of the frames show the face.")
        _say(found)

    _shown(work)


@app.command()
def adapt(
    footage: Annotated[Path, typer.Argument(help="Footage of the person in the new light, by one camera.")],
    driver: DriverFile,
    out: Annotated[Path, typer.Option("--out", "-o", help="The adapted driver's file (.npz).")],
    frames: Frames = "",
    focal_px: FocalPx = None,
    steps: Annotated[int, typer.Option(help="Steps of the adaptation.", min=1, max=10_000)] = 100,
    terms: Annotated[
        str, typer.Option(help="The consistencies to learn from: all, landmarks, consecutive, model.", metavar="NAME")
    ] = "all",
) -> None:
    """Adapt a driver to footage in another light that nobody has labelled; keep it only where it is better.

    The last fifth of the footage is held out to judge by. Ctrl+C stops; the same command goes on.
    """
    _require_writable(out)
    _require_focal(focal_px)
    within = parse_frames(frames) if frames else None

    def work(on_progress: OnProgress, should_cancel: ShouldCancel) -> None:
        from backend.appearance.adapt import ROWS, AdaptOptions
        from backend.appearance.adapt_footage import LightRequest, adapt_footage

        if terms not in ROWS:
            raise UserError(ErrorCode.BAD_OPTION, f"--terms is “{terms[:40]}”, but must be one of {', '.join(ROWS)}.")
        options = AdaptOptions(steps=steps, weights=ROWS[terms])
        found = adapt_footage(LightRequest(footage, driver, out, within, focal_px, options), on_progress, should_cancel)
        before, after = found.before, found.after
        typer.echo(
            f"On {found.frames} frames held out, of {found.frames + found.learnt}: landmarks {before.landmarks:.3f} "
            f"→ {after.landmarks:.3f} % of the crop, stability {before.stability:.3f} → {after.stability:.3f} "
            "(1 is best)."
        )
        if found.kept is None:
            typer.echo("Nothing was kept: the adapted driver is not better in both.")
        else:
            typer.echo(f"Kept as {found.kept}")

    _shown(work, goes_on=True)


def _require_writable(out: Path) -> None:
    """Refuse what cannot become a driver's file, before anybody waits for it."""
    from backend.client.track import output_folder

    if out.suffix != SUFFIX:
        raise UserError(ErrorCode.BAD_OUTPUT, f"{out} must end in {SUFFIX}.", f"Name such a file: --out person{SUFFIX}")
    if out.is_dir():
        raise UserError(ErrorCode.BAD_OUTPUT, f"{out} is a folder.", "Name a file with --out.")
    with output_folder(out.parent):
        pass


def _require_focal(focal_px: float | None) -> None:
    if focal_px is not None and not SHORTEST_PX <= focal_px <= LONGEST_PX:
        raise UserError(ErrorCode.BAD_OPTION, f"--focal-px is {focal_px:g}, but must be 1 to 1000000.")


def _shown(
    work: Callable[[OnProgress, ShouldCancel], None], parent_pid: int | None = None, *, goes_on: bool = False
) -> None:
    """Do work with a progress bar; Ctrl+C ends it, and the end of a parent that is named and reads a line a second."""
    from rich.console import Console

    from backend.appearance.progress_view import QUIET, DriverView
    from backend.server.process import ParentWatch

    parent = ParentWatch(parent_pid) if parent_pid else None
    with Stop() as stop:
        try:
            with DriverView(Console(stderr=True), QUIET if parent is None else TOLD_EVERY) as view:
                work(view.on_progress, lambda: stop.wanted or (parent is not None and parent.gone()))
        except Cancelled:
            typer.echo(f"stopped; nothing was written{'; the same command goes on' if goes_on else ''}", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _say(found: Comparison) -> None:
    """The figures in sentences."""
    lost = f", in {found.lost} of which the driver found no face" if found.lost else ""
    typer.echo(f"On {found.frames} frames{lost}, beside the fit:")
    typer.echo(
        f"  reprojection  {found.driver.error:.2f} % of the inter-ocular distance, the fit {found.fit.error:.2f} % "
        f"({found.ratio:.2f} times)"
    )
    typer.echo(f"  stability     {found.driver.stability:.3f}, the fit {found.fit.stability:.3f} (1 is best)")
    typer.echo(
        f"  difference    {found.vertex_mm:.2f} mm RMS of a face that moves by {found.motion_mm:.2f} mm; weights "
        f"{found.weights:.3f}, head {found.head_degrees:.2f}°, gaze {found.gaze_degrees:.2f}°"
    )
    typer.echo(f"  time          {found.ms:.1f} ms of one core a picture")
