"""A batch in a terminal: a bar for all clips, a line for each that runs, and the table at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn

from backend.client.batch.executors import Executor, Running
from backend.client.batch.ledger import ClipRecord, ClipState, Ledger
from backend.client.batch.run import Batch, BatchRun, in_order
from backend.client.batch.table import in_words, results_table, write_csv
from backend.terminal.ending import ending_interrupts
from backend.terminal.progress_bar import progress_bar

MOST_LINES = 12  # of clips that run, under the bar of all


class BatchView:
    """Bars in a terminal, a line a clip that ends where the output is no terminal. A context manager."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._ended = 0
        self._bars = progress_bar(
            console, MofNCompleteColumn(), TextColumn("{task.fields[words]}", markup=False), TimeElapsedColumn()
        )
        self._all: TaskID = self._bars.add_task("clips", total=total, words="")
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> BatchView:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, done: int) -> None:
        """Show how many of the clips were done before."""
        self._ended = done
        self._bars.update(self._all, completed=done)

    def on_running(self, news: Running) -> None:
        """Show where a clip stands."""
        words = f"{news.stage} on {news.where}" if news.where else news.stage
        if news.name not in self._lines:
            if len(self._lines) >= MOST_LINES:
                return
            self._lines[news.name] = self._bars.add_task(f"  {news.name}", total=100, words=words)
        self._bars.update(self._lines[news.name], completed=round(100 * news.fraction), words=words)

    def on_record(self, record: ClipRecord) -> None:
        """Show that a clip has ended, or begins anew."""
        line = self._lines.pop(record.name, None)
        if line is not None:
            self._bars.remove_task(line)
        again = record.state is ClipState.PENDING
        self._ended += not again
        self._bars.update(self._all, completed=self._ended)
        if record.problem or not self._console.is_terminal:
            said = f"{record.name} is tracked again: {record.problem}" if again else _ended(record)
            self._console.print(said, markup=False, highlight=False)


def _ended(record: ClipRecord) -> str:
    return f"{record.name}: {record.state.value}" + (f". {record.problem}" if record.problem else "")


def batch_with_progress(batch: Batch, executor: Executor, console: Console | None = None) -> list[ClipRecord]:
    """Track what of a batch is left, then print its table; the records of all clips in their order.

    Raises UserError, and KeyboardInterrupt once the clips that run are called off; the table is written for both.
    """
    console = console or Console(stderr=True)
    with ending_interrupts(), Ledger(batch.out) as ledger:
        with BatchView(console, len(batch.clips)) as view:
            run = BatchRun(batch, ledger, view.on_running, view.on_record)
            view.begin(len(batch.clips) - run.left)
            try:
                run.track(executor)
            except KeyboardInterrupt:
                console.print("stopped; the same command goes on where this one ended", highlight=False)
                raise
            finally:
                records = in_order(run.records, batch.clips)
                path = write_csv(records, batch.out)
        _print(records, path)
    return records


def _print(records: Sequence[ClipRecord], path: Path) -> None:
    console = Console()
    console.print(results_table(records))
    console.print(in_words(records), markup=False, highlight=False)
    console.print(str(path), markup=False, highlight=False, soft_wrap=True)
