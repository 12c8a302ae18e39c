"""``flowface challenge 300w``, ``300vw`` and ``marks``: landmarks and marks that people annotated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from backend.alignment.registry import DEFAULT_ALIGNER
from backend.errors import ErrorCode, UserError
from backend.evaluation.challenges.options import Aligner, Folder, Out, command_line, tracker_of
from backend.terminal.options import Weights

UNITS = ("inter-ocular", "inter-pupil")
Normalise = Annotated[
    str,
    typer.Option(
        help="What errors are told in: inter-ocular (the outer eye corners' distance, as 300-W has it) or inter-pupil."
    ),
]
Partial = Annotated[bool, typer.Option("--partial", help="Measure what is there of an incomplete download.")]


def challenge_300w(
    folder: Folder,
    out: Out = Path("flowface-300w"),
    subset: Annotated[
        list[str] | None,
        typer.Option(
            help="01_Indoor, 02_Outdoor, helen/testset, lfpw/testset, ibug (the test subsets that are there, without), "
            "helen/trainset, lfpw/trainset or afw; may be repeated.",
            metavar="NAME",
        ),
    ] = None,
    listed: Annotated[
        Path | None,
        typer.Option("--list", help="A text with the pictures to take, one a line, as helen/testset/30427236_2.jpg."),
    ] = None,
    normalise: Normalise = UNITS[0],
    partial: Partial = False,
    aligner: Aligner = DEFAULT_ALIGNER,
    weights: Weights = None,
) -> None:
    """300-W: iBUG's 68 points on photographs: the inner 51, the outline, and both by 1:3.

    Each picture is tracked alone, the face in the annotated box. Stopping with Ctrl-C is safe: the same command goes
    on where it was.
    """
    from backend.evaluation.challenges.landmarks.point_errors import Unit
    from backend.evaluation.challenges.landmarks.run import run_300w
    from backend.evaluation.challenges.landmarks.w300_layout import read_300w

    _require_unit(normalise)
    pictures = read_300w(folder, subset or (), listed=listed, partial=partial)
    tracker = tracker_of(out, aligner, weights)
    run_300w(pictures, tracker, out, cast(Unit, normalise), _about(folder, aligner, weights))


def challenge_300vw(
    folder: Folder,
    out: Out = Path("flowface-300vw"),
    category: Annotated[
        list[str] | None, typer.Option(help="1, 2 or 3; may be repeated; all where left out.", metavar="NUMBER")
    ] = None,
    normalise: Normalise = UNITS[0],
    partial: Partial = False,
    aligner: Aligner = DEFAULT_ALIGNER,
    weights: Weights = None,
) -> None:
    """300-VW: iBUG's 68 points in every frame of 64 videos in three categories, each tracked as a sequence.

    Stopping with Ctrl-C is safe: the same command goes on with the first video that is not finished.
    """
    from backend.evaluation.challenges.landmarks.point_errors import Unit
    from backend.evaluation.challenges.landmarks.run import run_300vw
    from backend.evaluation.challenges.landmarks.vw300_layout import read_300vw

    _require_unit(normalise)
    videos = read_300vw(folder, category or (), partial=partial)
    tracker = tracker_of(out, aligner, weights)
    run_300vw(videos, tracker, out, cast(Unit, normalise), _about(folder, aligner, weights))


def challenge_marks(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Takes: folders with a video or numbered pictures, and marks.csv (mark,frame,x,y) or marks.json.",
            metavar="FOLDER…",
        ),
    ],
    out: Out = Path("flowface-marks"),
    bind: Annotated[
        int | None,
        typer.Option(help="The frame in which marks are bound to the head; each mark's first where left out."),
    ] = None,
    aligner: Aligner = DEFAULT_ALIGNER,
    weights: Weights = None,
) -> None:
    """Marks of the skin that you set by hand: where the tracked head has them in other frames.

    Stopping with Ctrl-C is safe: the same command goes on with the first take that is not finished.
    """
    from backend.evaluation.challenges.landmarks.run import run_marks

    tracker = tracker_of(out, aligner, weights)
    run_marks(folders, bind, tracker, out, _about(folders[0], aligner, weights))


def _require_unit(name: str) -> None:
    if name not in UNITS:
        sentence = f"Errors cannot be told in “{name[:40]}”; there are {' and '.join(UNITS)}."
        raise UserError(ErrorCode.BAD_OPTION, sentence, "See --normalise.")


def _about(folder: Path, aligner: str, weights: Path | None) -> dict[str, Any]:
    from backend.alignment.flowface.weights import weights_digest
    from backend.alignment.registry import takes_weights
    from backend.evaluation.store import code_digest

    network = weights_digest(weights) if takes_weights(aligner) else None
    made_by = {"aligner": aligner, "weights": network, "code": code_digest()}
    return {"command": command_line(), "data": str(folder), **made_by}


COMMANDS: dict[str, Callable[..., None]] = {"300w": challenge_300w, "300vw": challenge_300vw, "marks": challenge_marks}
"""Each command by its name."""
