"""``flowface adapt``: the alignment network taught one actor and camera from footage that nobody has labelled."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.errors import Cancelled, ErrorCode, UserError
from backend.terminal.options import Frames, Weights, parse_frames
from backend.training.stop import Stop

if TYPE_CHECKING:
    from backend.adaptation.judge import Judgement
    from backend.adaptation.run import Outcome

INTERRUPTED = 130


def adapt(
    clips: Annotated[
        list[Path] | None, typer.Argument(help="Clips of one actor by one camera; together 30 frames or more.")
    ] = None,
    name: Annotated[str, typer.Option(help="What to call the weights; the first clip's name by default.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write (.safetensors), instead of a name among yours.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace adapted weights of that name.")] = False,
    weights: Weights = None,
    frames: Frames = "",
    steps: Annotated[int, typer.Option(help="Steps of the fine-tuning.", min=1, max=100_000)] = 150,
    terms: Annotated[
        str, typer.Option(help="The consistencies to learn from: all, landmarks, textures.", metavar="NAME")
    ] = "all",
    resolution: Annotated[
        int, typer.Option(help="Pixels along the side of the crops in which skin is compared.", min=48, max=384)
    ] = 192,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Pull landmarks onto MediaPipe's, instead of anchoring how they move.")
    ] = False,
    list_all: Annotated[bool, typer.Option("--list", help="List adapted weights, and stop.")] = False,
    remove: Annotated[str, typer.Option(metavar="NAME", help="Remove adapted weights, and stop.")] = "",
) -> None:
    """Teach the alignment network one actor and camera from your own footage; keep it only where it is better.

    Nothing has to be labelled. A fifth of the frames is held out; the new weights are kept only if on those the points
    are steadier and lie closer to followed marks of the skin. Ctrl+C stops; the same command goes on.
    """
    if list_all or remove:
        _manage(remove)
        return
    with Stop() as stop:  # before torch is loaded
        outcome = _adapt(clips or [], name, out, replace, weights, frames, steps, terms, resolution, in_place, stop)
    for sentence in told(outcome, out, name or _default_name(clips or [])):
        typer.echo(sentence)


def _adapt(
    clips: list[Path],
    name: str,
    out: Path | None,
    replace: bool,
    weights: Path | None,
    frames: str,
    steps: int,
    terms: str,
    resolution: int,
    in_place: bool,
    stop: Stop,
) -> Outcome:
    from rich.console import Console

    from backend.adaptation.adapter import AdaptOptions
    from backend.adaptation.losses import TERMS
    from backend.adaptation.progress_view import AdaptationView
    from backend.adaptation.run import AdaptRequest
    from backend.adaptation.run import adapt as run

    if not clips:
        raise UserError(
            ErrorCode.BAD_OPTION, "No clip is given to adapt to.", "Name one or several: flowface adapt CLIP"
        )
    if terms not in TERMS:
        raise UserError(ErrorCode.BAD_OPTION, f"--terms is “{terms[:40]}”, but must be one of {', '.join(TERMS)}.")
    request = AdaptRequest(
        clips=tuple(Path(os.path.abspath(clip)) for clip in clips),  # noqa: PTH100 - as the footage
        out=_out(out, name or _default_name(clips), replace),
        weights=weights,
        frames=parse_frames(frames) if frames else None,
        options=AdaptOptions(steps=steps, resolution=resolution, weights=TERMS[terms], centred=not in_place),
    )
    try:
        with AdaptationView(Console()) as view:
            return run(request, view.on_progress, view.on_step, lambda: stop.wanted)
    except Cancelled:
        typer.echo("stopped; the same command goes on where it was", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _out(out: Path | None, name: str, replace: bool) -> Path:
    """The file to write. Raises UserError ``bad_option``, ``bad_output``."""
    from backend.alignment.flowface.adapted import SUFFIX, adapted_path, require_weights_name

    if out is None:
        require_weights_name(name, replace=replace)
        return adapted_path(name)
    if out.suffix != SUFFIX:
        raise UserError(ErrorCode.BAD_OUTPUT, f"{out} must end in {SUFFIX}.", "Name such a file with --out.")
    return out


def _default_name(clips: list[Path]) -> str:
    return clips[0].stem[:40] if clips else ""


def told(outcome: Outcome, out: Path | None, name: str) -> list[str]:
    """What an adaptation came to, in sentences."""
    one, learnt = outcome.judgement, outcome.learnt_figures
    sentences = [
        f"{one.frames} frames held out, {one.marks} marks followed in them: {_figures(one)}.",
        f"{outcome.learnt} frames learnt from: {_figures(learnt)}.",
    ]
    if outcome.kept is not None:
        called = str(outcome.kept) if out is not None else name
        return [*sentences, f"Kept as {outcome.kept}; use it with --aligner flowface --weights {called}."]
    from backend.adaptation.judge import FEWEST_MARKS

    if one.marks < FEWEST_MARKS:
        why = f"only {one.marks} marks of the skin could be followed in the frames held out, too few to judge by"
        return [*sentences, f"Nothing was kept: {why}. Longer or sharper footage has more."]
    return [*sentences, "Nothing was kept: on the frames held out the network is not better in both."]


def _figures(one: Judgement) -> str:
    before, after = one.before, one.after
    return (
        f"stability {before.stability:.3f} → {after.stability:.3f} (1 is best), marks {before.marks:.2f} → "
        f"{after.marks:.2f} %, landmarks {before.landmarks:.2f} → {after.landmarks:.2f} % of the inter-ocular distance"
    )


def _manage(remove: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from backend.alignment.flowface.adapted import list_adapted, remove_adapted

    if remove:
        typer.echo(f"removed {remove_adapted(remove)}")
        return
    found = list_adapted()
    if not found:
        typer.echo("There are no adapted weights yet; make some: flowface adapt CLIP")
        return
    table = Table("name", "clips", "stability", "marks, % of IOD", "made")
    for one in found:
        before, after = one.about.get("before", {}), one.about.get("after", {})
        cells = [
            f"{before[key]:.3f} → {after[key]:.3f}" if key in before and key in after else ""
            for key in ("stability", "marks")
        ]
        table.add_row(one.name, ", ".join(one.clips), *cells, str(one.about.get("made", ""))[:10])
    Console().print(table)
