"""``flowface evaluate-speech``: predictions of speech-driven animation against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backend.errors import ErrorCode, UserError

RATES = (30, 60)


def evaluate_speech(
    predictions: Annotated[
        Path,
        typer.Argument(help="Folder of NAME.npy or NAME_condition_SPEAKER.npy, as FaceFormer and CodeTalker write."),
    ],
    data: Annotated[Path, typer.Argument(help="Folder of the truth, as “flowface export speech” writes it.")],
    fps: Annotated[int, typer.Option(help="Frames a second of the predictions: 30 or 60.")] = 30,
) -> None:
    """Measure speech-driven animation: lip vertex error and upper-face dynamics deviation; prints a table."""
    from rich.console import Console
    from rich.progress import TaskProgressColumn

    from backend.evaluation.speech import score_predictions, speech_sheet
    from backend.evaluation.tables import to_rich
    from backend.progress import JobProgress
    from backend.terminal.progress_bar import progress_bar

    if fps not in RATES:
        sentence = f"--fps {fps} is neither 30 nor 60, at which the data has frames."
        raise UserError(ErrorCode.BAD_OPTION, sentence)
    with progress_bar(Console(stderr=True), TaskProgressColumn()) as bar:
        task = bar.add_task("comparing", total=1.0)

        def show(progress: JobProgress) -> None:
            bar.update(task, completed=progress.fraction)

        scores = score_predictions(predictions, data, fps, show)
    Console().print(to_rich(speech_sheet(scores)))
