"""``flowface evaluate``: how good trackers are, against known truth and against each other."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from backend.alignment.registry import ALIGNERS, DEFAULT_ALIGNER, require_aligner
from backend.datasets.splits import PEOPLES, People, Split
from backend.errors import ErrorCode, UserError
from backend.terminal.options import Weights


def parse_results(texts: list[str]) -> dict[str, Path]:
    """``NAME=FOLDER`` texts as a mapping; raises UserError ``bad_results_option``."""
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (equals and name.strip() and folder.strip()) or name.strip() in found:
            raise UserError(
                ErrorCode.BAD_RESULTS_OPTION,
                f"“{text}” does not name results: expected NAME=FOLDER, each name once.",
                "The folder's format is described in backend/evaluation/trackers/results_folder.py.",
            )
        found[name.strip()] = Path(folder.strip())
    return found


def tracker_names(aligners: Sequence[str]) -> tuple[str, ...]:
    """The rows of a table that compares our tracker on the points of ``aligners`` with MediaPipe's mesh.

    Raises UserError ``unknown_aligner``.
    """
    from backend.evaluation.trackers.by_name import ALIGNED_BY, BASELINES

    for aligner in aligners:
        require_aligner(aligner)
    rows = {aligner: name for name, aligner in ALIGNED_BY.items()}
    return (*(rows[aligner] for aligner in dict.fromkeys(aligners)), *BASELINES)


def parse_peoples(text: str) -> tuple[People, ...]:
    """The rendered people named in ``text``; raises UserError ``bad_split`` for others."""
    names = _names(text)
    if not names or set(names) - set(PEOPLES):
        raise UserError(
            ErrorCode.BAD_SPLIT, f"“{text}” names no rendered people; there are {', '.join(PEOPLES)}.", "See --people."
        )
    return tuple(name for name in PEOPLES if name in names)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


Look = Annotated[
    bool, typer.Option("--look", help="Only what an animator sees: curves, a second detector, meaning, contact sheets.")
]
Clips = Annotated[
    list[Path] | None,
    typer.Option("--clip", help="Only look, and only at this clip or photograph; may be repeated.", metavar="FILE"),
]
Sequences = Annotated[bool, typer.Option("--sequences", help="Only rendered sequences: no real data, rigs or looks.")]
Marks = Annotated[
    bool,
    typer.Option("--marks", help="Only marks of real skin, followed by an independent tracker; --clip says whose."),
]

Rigs = Annotated[bool, typer.Option("--rigs", help="Only several cameras: rendered people's, and the scan's in test.")]


def evaluate(
    quick: Annotated[bool, typer.Option("--quick", help="A few short sequences and photographs: minutes.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for tables, JSON and plots.")] = Path(
        "flowface-evaluation"
    ),
    data: Annotated[Path, typer.Option(help="Folder with ict/, photos/, scan/ and clips/.")] = Path("../shared/data"),
    split: Annotated[
        str, typer.Option(help="Whose faces: test to publish, dev to choose weights and options.")
    ] = "test",
    aligner: Annotated[
        str,
        typer.Option(
            help=f"Whose points our tracker fits, with commas between: {', '.join(ALIGNERS)} (row flowface, and "
            "flowface-NAME of the others)."
        ),
    ] = DEFAULT_ALIGNER,
    weights: Weights = None,
    trackers: Annotated[
        str,
        typer.Option(
            help="Rows of the tables, with commas between; ours by --aligner and MediaPipe's mesh where left out. "
            "NAME-skin matches the skin in time as well."
        ),
    ] = "",
    results: Annotated[
        list[str] | None, typer.Option(help="Another tracker's results; may be repeated.", metavar="NAME=FOLDER")
    ] = None,
    people: Annotated[
        str, typer.Option(help="Whose rendered sequences, with commas between: ict, makehuman.")
    ] = ",".join(PEOPLES),
    persons: Annotated[
        int | None, typer.Option(min=1, help="Only the first few of each of these people; all ten where left out.")
    ] = None,
    benchmark_cache: Annotated[
        Path | None, typer.Option(help="Folder for the rendered sequences; the system's cache where left out.")
    ] = None,
    sequences: Sequences = False,
    rigs: Rigs = False,
    look: Look = False,
    marks: Marks = False,
    clips: Clips = None,
) -> None:
    """Measure trackers on rendered sequences of known truth and on real data; prints tables.

    Stopping with Ctrl-C is safe: the same command goes on where it was.
    """
    from backend.evaluation.run import EvaluationOptions
    from backend.evaluation.run import evaluate as run

    names = _names(trackers) or tracker_names(_names(aligner))
    run(
        EvaluationOptions(
            out=out,
            data=data,
            quick=quick,
            split=cast("Split", split),
            trackers=names,
            weights=weights,
            results=parse_results(results or []),
            benchmark_cache=benchmark_cache,
            peoples=parse_peoples(people),
            persons=persons,
            sequences_only=sequences,
            rigs_only=rigs,
            look_only=look,
            marks_only=marks,
            clips=tuple(clips or ()),
            command=shlex.join(["flowface", *sys.argv[1:]]),
        )
    )
