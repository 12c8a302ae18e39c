"""What is known of a job that went wrong, as one text. Knows nothing of bpy."""

from __future__ import annotations

import os
from pathlib import Path

from .vendor import messages as m

LOG = "log.txt"
MOST_BYTES = 256 << 10
"""Of a log's end: more than anybody reads, and read from a disk in no time."""


def text_of(status: m.JobStatus, jobs_folder: str) -> str:
    """The job, its problem, and the end of its log where the jobs folder ("" for none) is on this machine."""
    lines = [f"{status.name}: {status.state}", f"job {status.job_id} of {status.created}", f"footage {status.footage}"]
    if status.problem is not None:
        lines += ["", status.problem.message, status.problem.hint, f"({status.problem.code})"]
    log = _end_of(Path(jobs_folder) / status.job_id / LOG) if jobs_folder else "The log is on the backend's machine."
    return "\n".join([*lines, "", log])


def _end_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST_BYTES))
            return file.read(MOST_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"There is no log at {path}: {error.strerror}."
