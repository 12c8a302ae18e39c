"""Exceptions of a job's work as something a user can read, and what they mean for the job."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.reading import told_by_system

DISK_CODES = frozenset({ErrorCode.DISK_FULL, ErrorCode.DISK_READ_ONLY, ErrorCode.DISK_GONE})
"""A job that ends with one of these has done nothing wrong: it waits until the disk is as it should be."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_GONE = frozenset({errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN})
"""What file systems answer whose disk or server went away."""

_MEMORY_TYPES = ("OutOfMemory",)  # torch's and CuPy's, by name: the worker knows them only where the runner loads them
_MEMORY_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "insufficient memory", "_alloc_failed")
"""What torch's allocators, cuBLAS and OpenCV say in errors of types that say nothing."""


def explain(error: Exception, folder: Path) -> UserError:
    """An exception of the job in ``folder`` as a sentence. Whatever wraps a full disk or memory is that."""
    causes = list(_causes(error))
    if not isinstance(error, UserError) or error.code not in DISK_CODES | {ErrorCode.OUT_OF_MEMORY}:
        for cause in causes:
            if isinstance(cause, OSError) and (disk := _of_disk(cause, folder)):
                return disk
        if any(map(_is_memory, causes)):
            return UserError(
                ErrorCode.OUT_OF_MEMORY,
                "The machine ran out of memory while tracking.",
                "Track fewer frames at a time, or close other programs that use the memory or the graphics card.",
            )
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and (told := told_by_system(error)) is not None:
        return told
    if isinstance(error, OSError):
        file = f" ({error.filename})" if isinstance(error.filename, str) else ""
        sentence = f"The system refused a file of this job{file}: {error.strerror or type(error).__name__}."
        return UserError(ErrorCode.BAD_FILE, sentence, "See that the file and its folder can be read and written.")
    return UserError(
        ErrorCode.INTERNAL,
        f"Tracking stopped because of an error in FlowFace itself ({type(error).__name__}).",
        f"Please report it together with {folder / 'log.txt'}.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those that it was raised from."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _of_disk(error: OSError, folder: Path) -> UserError | None:
    """What an error of the system says of the jobs folder's disk; None where it is of something else.

    A file that is missing or unreadable elsewhere, the footage say, is the job's own matter.
    """
    if error.errno in _FULL:
        where = f" ({error.filename})" if isinstance(error.filename, str) else ""
        return UserError(
            ErrorCode.DISK_FULL, f"The disk of the jobs folder {folder.parent} is full{where}.", "Free some space."
        )
    if not _is_within(error.filename, folder.parent):
        return None
    if error.errno == errno.EROFS:
        return UserError(
            ErrorCode.DISK_READ_ONLY,
            f"The disk of the jobs folder {folder.parent} is read-only.",
            "Make it writable again.",
        )
    if error.errno in _GONE or (error.errno == errno.ENOENT and not folder.parent.is_dir()):
        return UserError(
            ErrorCode.DISK_GONE, f"The disk of the jobs folder {folder.parent} is gone.", "Connect it again."
        )
    if error.errno == errno.ENOENT and not folder.is_dir():
        return UserError(ErrorCode.UNKNOWN_JOB, f"The job's folder {folder} was deleted.", "Submit the job again.")
    return None


def _is_within(name: object, folder: Path) -> bool:
    return isinstance(name, str) and Path(name).is_relative_to(folder)


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if any(name in type(error).__name__ for name in _MEMORY_TYPES):
        return True
    text = str(error).lower()
    return not isinstance(error, UserError) and any(words in text for words in _MEMORY_WORDS)
