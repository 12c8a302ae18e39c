"""The work of every kind of job: one runner a kind. A new kind is a new file and a line in ``RUNNERS``.

Importing this module is cheap; ``warm_up`` loads what the work needs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.errors import ErrorCode, UserError
from backend.memory import smaller_steps
from backend.pipeline import export_job, photographs_job, refine_job, track_job, transfer_job
from backend.progress import Attempt
from protocol.job import ExportJob, Job, RefineJob, TrackJob
from protocol.photographs import PhotographsJob
from protocol.transfer import TransferJob

warm_up = track_job.warm_up

RUNNERS: dict[type[Job], Callable[..., object]] = {
    TrackJob: track_job.run_job,
    ExportJob: export_job.run_job,
    RefineJob: refine_job.run_job,
    TransferJob: transfer_job.run_job,
    PhotographsJob: photographs_job.run_job,
}
"""By kind: takes the job, its folder and by name whatever a worker hands its ``JobRunner``."""


def run_job(spec: Job, job_dir: Path, *, attempt: Attempt | None = None, **worker: Any) -> object:
    """Do a job as its kind is done; everything it leaves goes into ``job_dir``, beside which its parent's folder lies.

    ``worker`` is what the worker hands every runner: ``on_progress``, ``should_cancel``. Where ``attempt`` says that
    memory ran out before, the job takes less of it.

    Raises:
        UserError: whatever a user can mend; ``unknown_kind``.
        Cancelled: ``should_cancel`` said so.
    """
    runner = RUNNERS.get(type(spec))
    if runner is None:
        raise UserError(
            ErrorCode.UNKNOWN_KIND, f"This backend does no jobs of the kind “{spec.KIND}”.", "Update the backend."
        )
    with smaller_steps(attempt.smaller if attempt else 0):
        return runner(spec, job_dir, **worker)
