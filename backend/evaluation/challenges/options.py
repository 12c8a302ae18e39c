"""Options that all challenges have."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.alignment.registry import ALIGNERS, require_aligner, takes_weights

if TYPE_CHECKING:
    from backend.evaluation.trackers.flowface import FlowFace

Folder = Annotated[Path, typer.Argument(help="The challenge's data, as it is downloaded.", metavar="FOLDER")]
Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for finished items, tables and JSON; the next run goes on in it.")
]
First = Annotated[int, typer.Option(min=0, help="Only the first so many, to try it out; 0 is all.", metavar="N")]
Aligner = Annotated[str, typer.Option(help=f"Whose points our tracker fits: {', '.join(ALIGNERS)}.")]


def tracker_of(out: Path, aligner: str, weights: Path | None) -> FlowFace:
    """The open head's tracker, which keeps alignments in ``out``.

    Raises UserError ``unknown_aligner``, ``weights_missing`` or ``unknown_weights``.
    """
    from backend.alignment.flowface.weights import find_weights
    from backend.evaluation.store import code_digest
    from backend.evaluation.trackers.flowface import FlowFace

    require_aligner(aligner)
    own = find_weights(weights) if takes_weights(aligner) else None
    return FlowFace(out / "items" / f"alignments-{code_digest()}", aligner=aligner, weights=own)


def command_line() -> str:
    """The command as it was typed."""
    return shlex.join(["flowface", *sys.argv[1:]])
