"""``flowface challenge facescape``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.alignment.registry import DEFAULT_ALIGNER
from backend.evaluation.challenges.options import Aligner, First, Folder, Out, command_line, tracker_of
from backend.terminal.options import Weights


def facescape(
    folder: Folder,
    out: Out = Path("flowface-facescape"),
    which: Annotated[str, typer.Option("--set", help="lab, which the paper's table is of, or wild.")] = "lab",
    pictures: Annotated[
        Path | None, typer.Option(help="Folder of the set's pictures, where they are not beside the meshes.")
    ] = None,
    first: First = 0,
    aligner: Aligner = DEFAULT_ALIGNER,
    weights: Weights = None,
) -> None:
    """FaceScape: chamfer distance and normal error of posed heads from single pictures, to the side as well.

    FOLDER is the folder "benchmark" of FaceScape's repository with its data. Stopping with Ctrl-C is safe.
    """
    from backend.evaluation.challenges.facescape.run import FaceScapeOptions, run_facescape

    options = FaceScapeOptions(folder, out, which, pictures, first, command_line())
    run_facescape(options, tracker_of(out, aligner, weights))
