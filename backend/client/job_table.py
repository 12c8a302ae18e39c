"""Jobs as a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from protocol.fields import to_plain
from protocol.messages import JobState, JobStatus

UNITS = ("B", "kB", "MB", "GB", "TB")
COLOURS = {JobState.DONE: "green", JobState.FAILED: "red", JobState.RUNNING: "cyan"}


def job_table(jobs: Iterable[JobStatus]) -> Table:
    """A line for each job."""
    table = Table("job", "name", "kind", "state", "made", "size", box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.no_wrap = column.header != "name"
    table.columns[1].overflow = "fold"
    table.columns[5].justify = "right"
    for job in jobs:
        table.add_row(job.job_id, _text(job.name), _text(job.kind), state_text(job), made(job), in_units(job.bytes))
    return table


def details(job: JobStatus) -> Table:
    """All that is known of a job, a line for each."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    rows = {
        "job": job.job_id,
        "name": job.name,
        "kind": job.kind,
        "footage": job.footage,
        "made": made(job),
        "of": job.owner,
        "tries": str(job.attempts) if job.attempts > 1 else "",
        "time": f"{job.seconds_elapsed:.1f} s" if job.seconds_elapsed else "",
        "size": in_units(job.bytes),
        "result": ("fetched" if job.fetched else "not fetched yet") if job.state is JobState.DONE else "",
        "problem": "" if job.problem is None else job.problem.message,
        "what to do": "" if job.problem is None else job.problem.hint,
    }
    table.add_row("state", state_text(job))
    for name, value in rows.items():
        if value:
            table.add_row(name, _text(value))
    return table


def state_text(job: JobStatus) -> Text:
    """The state of a job, and how far it is; a result is new until somebody has fetched it."""
    words = str(job.state)
    if job.state is JobState.RUNNING:
        words = f"{job.state}, {job.fraction:.0%}" + (f", try {job.attempts}" if job.attempts > 1 else "")
    elif job.state is JobState.QUEUED and job.queue_position:
        words = f"{job.state} behind {job.queue_position}"
    elif job.state is JobState.DONE and not job.fetched:
        words = f"{job.state}, new"
    return Text(words, COLOURS.get(job.state, ""))


def made(job: JobStatus) -> str:
    """When a job was made, by this machine's clock, without a year where it is this one; "" where that is not known."""
    try:
        when = datetime.fromisoformat(job.created)
    except ValueError:
        return ""
    local = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone()
    return f"{local:%m-%d %H:%M}" if local.year == datetime.now().astimezone().year else f"{local:%Y-%m-%d}"


def in_units(size: int) -> str:
    """A number of bytes in words; "" where it is not known."""
    if size <= 0:
        return ""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit < 2 else f"{value:.1f} {UNITS[unit]}"


def plain(job: JobStatus) -> dict[str, object]:
    """A job for machines: the fields of ``protocol.messages.JobStatus``."""
    fields: dict[str, object] = to_plain(job)
    return fields


def _text(words: str) -> Text:
    """Somebody's words: no markup, and nothing that a terminal would obey."""
    return Text("".join(letter if letter.isprintable() else "�" for letter in words))
