"""``flowface challenge now``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from backend.alignment.registry import DEFAULT_ALIGNER
from backend.evaluation.challenges.options import Aligner, First, Folder, Out, command_line, tracker_of
from backend.terminal.options import Weights

if TYPE_CHECKING:
    from backend.evaluation.challenges.now.run import Views


def now(
    folder: Folder,
    out: Out = Path("flowface-now"),
    split: Annotated[str, typer.Option(help="val, whose scans are public, or test, to submit.")] = "val",
    views: Annotated[
        str, typer.Option(help="single: each picture by itself; multi: a person's pictures of a category together.")
    ] = "single",
    category: Annotated[str, typer.Option(help="Only multiview_neutral, multiview_expressions, … or selfie.")] = "",
    first: First = 0,
    aligner: Aligner = DEFAULT_ALIGNER,
    weights: Weights = None,
) -> None:
    """NoW: a neutral head of every picture, as it is submitted, and its distance to the scans.

    OUT/predicted is what the challenge's own evaluation reads. Stopping with Ctrl-C is safe.
    """
    from backend.evaluation.challenges.now.run import NowOptions, run_now

    options = NowOptions(folder, out, split, cast("Views", views), category, first, command_line())
    run_now(options, tracker_of(out, aligner, weights))
