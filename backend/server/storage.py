"""The room that jobs take on disk, and the oldest of them deleted where it is too much."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from backend.errors import UserError
from backend.server.jobs import JOB_ID, JobStore
from backend.server.removal import delete_folder, finish_deletions
from protocol.messages import JobState, JobStatus, StorageReply

log = logging.getLogger(__name__)


def _nothing() -> None:
    """Nobody waits for a sign of life."""


def storage(store: JobStore, deleted: int = 0, alive: Callable[[], None] = _nothing) -> StorageReply:
    """What the jobs folder holds; ``alive`` is called before each job. Raises OSError where it cannot be read."""
    folders = _folders(store.root)
    size = sum(_sizes(folders, alive).values())
    return StorageReply(str(store.root), len(folders), size, shutil.disk_usage(store.root).free, deleted)


def prune(store: JobStore, max_bytes: int, alive: Callable[[], None] = _nothing) -> StorageReply:
    """Delete the oldest jobs that may be deleted until all of them take at most ``max_bytes``.

    Kept is a job that waits or runs, in whatever backend, what it starts from, and one whose result nobody has fetched.
    ``alive`` is called before each job. Raises OSError where the folder cannot be read.
    """
    finish_deletions(store.root)
    folders = _folders(store.root)
    sizes = _sizes(folders, alive)
    too_much, deleted, needed = sum(sizes.values()) - max_bytes, 0, store.needed()
    for folder in folders:
        alive()
        if too_much <= 0:
            break
        if folder.name in needed or not _may_go(store, folder.name):
            continue
        with contextlib.suppress(OSError):
            delete_folder(folder)
        if folder.exists():  # Windows: a file of it is open, as a proxy that Blender shows
            log.warning("the job folder %s cannot be deleted", folder)
            continue
        too_much -= sizes[folder]
        deleted += 1
        log.info("job %s was deleted to make room", folder.name)
    return storage(store, deleted, alive)


def _sizes(folders: Sequence[Path], alive: Callable[[], None]) -> dict[Path, int]:
    sizes = {}
    for folder in folders:
        alive()
        sizes[folder] = folder_size(folder)
    return sizes


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder and below it; what vanishes meanwhile does not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except OSError:
                continue
    return total


def _folders(root: Path) -> list[Path]:
    """The jobs' folders, oldest first: their names begin with the time."""
    return sorted(folder for folder in root.iterdir() if JOB_ID.fullmatch(folder.name) and folder.is_dir())


def _may_go(store: JobStore, job_id: str) -> bool:
    try:
        return _is_over(store.load(job_id))
    except UserError:  # damaged: nobody knows what it was
        return False


def _is_over(status: JobStatus) -> bool:
    return status.fetched if status.state is JobState.DONE else status.finished
