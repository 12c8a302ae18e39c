"""``flowface compare``: what several aligners see in the same footage."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.alignment.registry import ALIGNERS
from backend.terminal.options import Frames, Weights, parse_frames


def compare(
    footage: Annotated[Path, typer.Argument(help="A video, a still, or an image of a sequence.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="A video (.mp4), or close-ups of some frames (.png).")
    ] = Path("aligners.png"),
    aligner: Annotated[
        str, typer.Option(help=f"Aligners to compare, with commas between: {', '.join(ALIGNERS)}.")
    ] = "mediapipe,flowface",
    weights: Weights = None,
    frames: Frames = "",
    pictures: Annotated[int, typer.Option(help="How many frames a .png shows.", min=1, max=40)] = 4,
    head: Annotated[str, typer.Option(help="Head whose points the network is asked for.")] = "open",
) -> None:
    """Show what the aligners see in the same footage, side by side, each point in the colour of its uncertainty."""
    from backend.overlay.aligners import ComparisonOptions, compare_aligners

    names = tuple(dict.fromkeys(name.strip() for name in aligner.split(",") if name.strip()))
    span = parse_frames(frames) if frames else None
    typer.echo(compare_aligners(ComparisonOptions(footage, out, names, weights, head, span, pictures)))
