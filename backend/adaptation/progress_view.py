"""The terminal's view of a running adaptation."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID, TimeRemainingColumn

from backend.terminal.progress_bar import progress_bar

QUIET = 30.0  # seconds between lines where the output is no terminal


class AdaptationView:
    """One bar for what is done now."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = progress_bar(console, MofNCompleteColumn(), TimeRemainingColumn())
        self._task: TaskID | None = None
        self._stage = ""
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def on_progress(self, stage: str, done: int, total: int) -> None:
        """Called with what is done in words, and how far it is."""
        self._show(stage, stage, done, total)

    def on_step(self, step: int, steps: int, losses: dict[str, float]) -> None:
        """Called after every step with its losses."""
        words = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
        self._show("adapting", f"adapting: {words}", step, steps)

    def _show(self, stage: str, words: str, done: int, total: int) -> None:
        if stage != self._stage or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._stage, self._task = stage, self._progress.add_task("", total=total)
        self._progress.update(self._task, description=words, completed=done, total=total)
        if not self._console.is_terminal and time.monotonic() - self._said > QUIET:
            self._said = time.monotonic()
            self._console.print(f"{words}: {done} of {total}", markup=False, highlight=False, soft_wrap=True)
