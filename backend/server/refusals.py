"""What is refused of a job because of its state."""

from __future__ import annotations

from backend.errors import ErrorCode, UserError
from protocol.messages import JobState, JobStatus


def require_usable(status: JobStatus) -> None:
    """Raises UserError ``no_result`` for a job that has not left its result."""
    if status.state is not JobState.DONE:
        reason = f": {status.problem}" if status.problem else "."
        raise UserError(ErrorCode.NO_RESULT, f"The job “{status.name}” is {status.state} and has no result{reason}")


def require_over(status: JobStatus) -> None:
    """Raises UserError ``not_over`` for a job that waits or runs, and so cannot be deleted."""
    if not status.finished:
        sentence = f"The job “{status.name[:60]}” is {status.state}, so that it cannot be removed."
        raise UserError(ErrorCode.NOT_OVER, sentence, "Cancel it first.")
