"""The terminal's view of work in steps: a bar, lines that stay, and now and then a line where there is no bar."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID, TimeRemainingColumn

from backend.terminal.progress_bar import progress_bar


class StepsView:
    """One bar for what is done now; where the output is no terminal, a line every ``quiet`` seconds after ``said``
    (``time.monotonic``)."""

    def __init__(self, console: Console, quiet: float, said: float) -> None:
        self._console, self._quiet, self._said = console, quiet, said
        self._progress = progress_bar(console, MofNCompleteColumn(), TimeRemainingColumn())
        self._task: TaskID | None = None

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

    def _say_at_times(self, words: str) -> None:
        if not self._console.is_terminal and time.monotonic() - self._said > self._quiet:
            self._said = time.monotonic()
            self.say(words)
