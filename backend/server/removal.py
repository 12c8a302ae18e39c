"""The deletion of a job's folder: all of it, nothing beside it, and no half of it is ever listed."""

from __future__ import annotations

import shutil
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.server.jobs import JobStore
from backend.server.refusals import require_over

REMOVED = ".removed-"
"""Begins the name of a folder that is being deleted: if that is broken off, ``finish_deletions`` goes on with it."""


def remove_job(store: JobStore, job_id: str) -> None:
    """Delete a job that is over, or whose state cannot be read.

    Raises UserError: ``unknown_job``, ``not_over`` for one that waits or runs, ``output_unwritable``.
    """
    folder = store.folder(job_id)
    try:
        require_over(store.load(job_id))
    except UserError as error:
        if error.code != ErrorCode.BAD_JOB:  # a damaged one serves nobody
            raise
    try:
        finish_deletions(store.root)
        delete_folder(folder)
    except OSError as error:
        sentence = f"The job folder {folder} cannot be deleted: {error.strerror or error}."
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Close what uses its files and try again.") from error


def delete_folder(folder: Path) -> None:
    """Delete a job's folder; where it is a symbolic link, only that. Links within are never followed.

    It is renamed first, so that it is whole or gone whatever happens. Raises OSError where it is still there.
    """
    out_of_sight = folder.with_name(f"{REMOVED}{folder.name}")
    folder.rename(out_of_sight)
    _delete(out_of_sight)


def finish_deletions(root: Path) -> None:
    """Delete what is left of deletions that were broken off."""
    for left in root.glob(f"{REMOVED}*"):
        _delete(left)


def _delete(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)
