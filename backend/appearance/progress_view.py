"""The terminal's view of a driver's training and use."""

from __future__ import annotations

import time

from rich.console import Console

from backend.terminal.steps_view import StepsView

QUIET = 30.0  # seconds between lines where the output is no terminal


class DriverView(StepsView):
    """One bar for what is done now."""

    def __init__(self, console: Console, quiet: float = QUIET) -> None:
        super().__init__(console, quiet, time.monotonic())
        self._stage = ""

    def on_progress(self, stage: str, done: int, total: int) -> None:
        """Called with what is done in words, and how far it is."""
        if stage != self._stage or self._task is None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._stage, self._task = stage, self._progress.add_task("", total=total)
        self._progress.update(self._task, description=stage, completed=done, total=total)
        self._say_at_times(f"{stage}: {done} of {total}")
