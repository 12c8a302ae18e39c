"""The terminal's view of a running training."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID, TimeRemainingColumn

from backend.terminal.progress_bar import progress_bar
from backend.training.validate import Accuracy

QUIET = 60.0  # seconds between lines where the output is no terminal


class TrainingView:
    """One bar with the latest figures, and a line for every measurement."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = progress_bar(console, MofNCompleteColumn(), TimeRemainingColumn())
        self._task: TaskID | None = None
        self._said = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, words: str) -> None:
        """A line that stays."""
        self._console.print(words, markup=False, highlight=False, soft_wrap=True)

    def on_step(self, step: int, steps: int, figures: dict[str, float]) -> None:
        """Called with how far the training is."""
        words = (
            f"loss {figures['loss']:.2f}  {figures['distance_px']:.1f} px  {figures['images_per_second']:.1f} images/s"
        )
        if self._task is None:
            self._task = self._progress.add_task("", total=steps)
        self._progress.update(self._task, description=words, completed=step)
        if not self._console.is_terminal and time.monotonic() - self._said > QUIET:
            self._said = time.monotonic()
            self.say(f"step {step} of {steps}: {words}")

    def on_accuracy(self, step: int, kind: str, accuracy: Accuracy) -> None:
        """Called with what a measurement came to."""
        who = {"dev": "rendered", "real": "real"}[kind]
        regions = ", ".join(f"{name} {value:.2f}" for name, value in accuracy.regions.items())
        self.say(
            f"step {step}, {who} people held out: {accuracy.nme:.2f} % of the inter-ocular distance ({regions}), "
            f"σ: rank correlation {accuracy.spearman:.2f}, calibration {accuracy.calibration:.2f}"
        )
