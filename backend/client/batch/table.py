"""The table of a batch's results: as a file, and what of it a terminal shows."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from backend.client.batch.clips import RESULTS
from backend.client.batch.ledger import ClipRecord, ClipState
from backend.client.track import write_result

COLUMNS = (
    "clip",
    "state",
    "frames",
    "frames_tracked",
    "reprojection_error_percent_iod",
    "seconds",
    "attempts",
    "where",
    "problem",
)
MOST_ROWS = 40  # of a terminal's table; the file has them all


def write_csv(records: Sequence[ClipRecord], out: Path) -> Path:
    """Write results.csv, a row a clip; returns its path. Raises UserError ``output_unwritable``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for record in records:
        writer.writerow(
            (
                record.name,
                record.state.value,
                record.frames,
                record.frames_tracked,
                "" if record.error_percent_iod is None else f"{record.error_percent_iod:.4f}",
                "" if record.seconds is None else f"{record.seconds:.2f}",
                record.attempts,
                record.where,
                record.problem,
            )
        )
    path = out / RESULTS
    write_result(path, text.getvalue().encode())
    return path


def results_table(records: Sequence[ClipRecord]) -> Table:
    """A row a clip; of many clips those with a problem first, then those with the largest errors."""
    shown = list(records)
    if len(shown) > MOST_ROWS:
        shown.sort(key=lambda record: (record.state is ClipState.DONE and not record.problem, -_error(record)))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("clip", False), ("state", False), ("frames", True), ("error % IOD", True), ("seconds", True)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    table.add_column("problem", overflow="fold", ratio=1)
    for record in shown[:MOST_ROWS]:
        done = record.state is ClipState.DONE
        table.add_row(
            Text(record.name),
            Text(record.state.value, style="" if done else "yellow" if record.state is ClipState.PENDING else "red"),
            f"{record.frames_tracked} of {record.frames}" if done else "",
            "" if record.error_percent_iod is None else f"{record.error_percent_iod:.2f}",
            "" if record.seconds is None else f"{record.seconds:.1f}",
            Text(record.problem),
        )
    return table


def in_words(records: Sequence[ClipRecord]) -> str:
    """The clips by their states, in one line."""
    count = Counter(record.state for record in records)
    words = [f"{count[state]} {words}" for state, words in _WORDS.items() if count[state]]
    hidden = len(records) - MOST_ROWS
    more = f"; {hidden} more rows are in {RESULTS}" if hidden > 0 else ""
    return f"{len(records)} clip{'s' * (len(records) != 1)}: {', '.join(words) or 'nothing to do'}{more}"


_WORDS = {ClipState.DONE: "done", ClipState.FAILED: "failed", ClipState.PENDING: "not tracked yet"}


def _error(record: ClipRecord) -> float:
    return -1.0 if record.error_percent_iod is None else record.error_percent_iod
