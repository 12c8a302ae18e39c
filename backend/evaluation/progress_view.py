"""The terminal's view of a running evaluation."""

from __future__ import annotations

from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID, TimeElapsedColumn

from backend.terminal.progress_bar import progress_bar


class EvaluationView:
    """One bar per kind of data and a line on what is being done; plain lines where the output is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = progress_bar(console, MofNCompleteColumn(), TimeElapsedColumn())
        self._parts: dict[str, TaskID] = {}
        self._stage: TaskID = self._progress.add_task("", total=None)

    def __enter__(self) -> EvaluationView:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt:
            self._console.print("stopped; the same command goes on from here", highlight=False)

    def on_part(self, name: str, done: int, total: int) -> None:
        """Called with how many items of a kind of data are done."""
        if name not in self._parts:
            self._parts[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._parts[name], completed=done, total=total)

    def on_stage(self, words: str) -> None:
        """Called with what is being done now."""
        self._progress.update(self._stage, description=words, completed=0, total=None)
        if not self._console.is_terminal:
            self._console.print(f"{words} …", markup=False, highlight=False)

    def on_frame(self, done: int, total: int) -> None:
        """Called with how far the present stage is, in frames."""
        self._progress.update(self._stage, completed=done, total=total)
