"""``flowface challenge multiface``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.alignment.registry import DEFAULT_ALIGNER
from backend.evaluation.challenges.options import Aligner, First, Folder, Out, command_line, tracker_of
from backend.terminal.options import Weights


def multiface(
    folder: Folder,
    out: Out = Path("flowface-multiface"),
    sequences: Annotated[
        Path | None,
        typer.Option("--list", help="TOML of sequences, as OUT/sequences.toml; drawn by --seed where left out."),
    ] = None,
    topology: Annotated[
        Path | None,
        typer.Option(
            help="TOML of the mesh's key points and regions, as OUT/topology.toml; carried over from our head where "
            "left out."
        ),
    ] = None,
    cameras: Annotated[int, typer.Option(min=1, max=6, help="Calibrated cameras of each drawn sequence.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Draws subjects, segments and cameras.")] = 0,
    first: First = 0,
    aligner: Aligner = DEFAULT_ALIGNER,
    weights: Weights = None,
) -> None:
    """Multiface: screen-space motion error and chamfer distance by region of tracked sequences.

    FOLDER holds the subjects' folders m--…--GHS. Stopping with Ctrl-C is safe.
    """
    from backend.evaluation.challenges.multiface.run import MultifaceOptions, run_multiface

    options = MultifaceOptions(
        folder=folder,
        out=out,
        sequences=sequences,
        topology=topology,
        cameras=cameras,
        seed=seed,
        first=first,
        command=command_line(),
    )
    run_multiface(options, tracker_of(out, aligner, weights))
