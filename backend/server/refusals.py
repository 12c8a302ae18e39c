"""What is refused of a job because of its state, or of the queue's."""

from __future__ import annotations

from backend.errors import ErrorCode, UserError
from protocol.messages import JobState, JobStatus

MAX_WAITING = 2000
"""Jobs in the queue: the lock of each is an open file. Who has more to do sends them as others end, as batches do."""
MAX_OF_A_GUEST = 200
"""Jobs of another user that wait or run."""


def require_room(waiting: int, of_owner: int, owner: str) -> None:
    """Raises UserError ``busy`` where the queue is full, or a user on another machine (``owner``) has enough in it."""
    if waiting >= MAX_WAITING or (owner and of_owner >= MAX_OF_A_GUEST):
        count = waiting if waiting >= MAX_WAITING else of_owner
        raise UserError(ErrorCode.BUSY, f"{count} jobs wait already.", "Submit it again when some of them have ended.")


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
