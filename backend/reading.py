"""Files that somebody else chose, read without believing their names: by what they are, and under a limit.

A path may be a pipe, a device or a socket, which may never begin or never end, and a file may grow while it is read.
All bytes that a user or a client names come through ``open_ordinary``, ``read_bounded`` or ``backend.files.read_npz``.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from pathlib import Path
from typing import Any

from backend.errors import ErrorCode, UserError

BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would turn line feeds into two bytes
MAX_REPORT_BYTES = 64 << 20
"""Of a job's report, a state or a job itself; those of long takes have some kilobytes a frame."""
LONGEST_WHOLE = 18
"""Digits of a whole number in JSON; a longer one is read as a real one, as no count or time is so large."""

MAX_SHOWN = 400
"""Characters of a path in a sentence."""

_WAITS_FOR_NOBODY: int = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_REASONS = {
    errno.EACCES: "it may not be read (permission denied)",
    errno.EPERM: "it may not be read (permission denied)",
    errno.ENAMETOOLONG: "its name is longer than the system allows",
    errno.ELOOP: "it is a link that leads back to itself",
    errno.EISDIR: "it is a folder",
    errno.ENXIO: "it is no ordinary file but a socket or a device",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.ENOSPC: "there is no space left on its disk",
    errno.EDQUOT: "its owner has no space left on its disk",
    errno.EROFS: "its disk can only be read",
}
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


class FileFault(Exception):  # noqa: N818 - a clause of a sentence
    """Why a file is not read: ``reason`` is a clause, to follow "FILE cannot be read:".

    ``missing`` says that there is no such file, ``too_large`` that it has more bytes than are read, ``damaged`` that
    they are no such thing as was asked for.
    """

    def __init__(self, reason: str, *, missing: bool = False, too_large: bool = False, damaged: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.missing, self.too_large, self.damaged = reason, missing, too_large, damaged


def fault_of(error: OSError | ValueError) -> FileFault:
    """What an error of looking up or reading a file means, in words.

    The file system raises ValueError for names that it cannot even spell: with a NUL, or with half a character.
    """
    if isinstance(error, FileNotFoundError | NotADirectoryError) or (
        isinstance(error, OSError) and error.errno in _ABSENT
    ):
        return FileFault("there is no such file", missing=True)
    if isinstance(error, OSError):
        return FileFault(_REASONS.get(error.errno or 0, f"{error.strerror or error}"))
    return FileFault("no file can have such a name", missing=True)


def told_by_system(error: OSError) -> UserError | None:
    """An error of the system about a file, in words; None where it is about something else.

    For whoever runs a whole job or command, where it slipped through: a file that vanishes or is locked away while it
    is used is no error of FlowFace.
    """
    fault = fault_of(error)
    if error.errno in _NO_SPACE:
        where = "" if error.filename is None else f" of {shown(os.fsdecode(error.filename))}"
        sentence = f"A file{where} cannot be written: {fault.reason}."
        return UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Free some space, or choose another folder.")
    if not isinstance(error.filename, str | bytes):
        return None
    code = ErrorCode.FILE_MISSING if fault.missing else ErrorCode.BAD_FILE
    return UserError(code, f"{shown(os.fsdecode(error.filename))} cannot be used: {fault.reason}.", "Check the path.")


def open_ordinary(path: Path) -> io.BufferedReader:
    """A file opened for reading, once it is known to be an ordinary one: others may never end, or never begin.

    Looked at before it is opened, as opening a device may do something, and after, as another may have taken its place.

    Raises:
        FileFault: there is none, it is a folder, a pipe, a device or a socket, or may not be read.
    """
    try:
        _require_ordinary(path.stat())
        handle = os.open(path, os.O_RDONLY | BINARY | _WAITS_FOR_NOBODY)
    except (OSError, ValueError) as error:
        raise fault_of(error) from error
    try:
        _require_ordinary(os.fstat(handle))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _require_ordinary(about: os.stat_result) -> None:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    if not stat.S_ISREG(about.st_mode):
        what = kinds.get(stat.S_IFMT(about.st_mode), "a device")
        raise FileFault(f"it is {what}, not an ordinary file")


def read_ordinary(path: Path, max_bytes: int) -> bytes:
    """The bytes of an ordinary file, of no more than ``max_bytes`` even where it grows while it is read.

    Raises:
        FileFault: see ``open_ordinary``; ``too_large``.
    """
    with open_ordinary(path) as file:
        try:
            data = file.read(max_bytes + 1) if os.fstat(file.fileno()).st_size <= max_bytes else None
        except OSError as error:
            raise fault_of(error) from error
    if data is None or len(data) > max_bytes:
        raise FileFault(f"it is larger than {in_words(max_bytes)}", too_large=True)
    return data


def read_bounded(path: Path, what: str, max_bytes: int) -> bytes:
    """The bytes of an ordinary file of at most ``max_bytes``; ``what`` names its kind in sentences ("track").

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``.
    """
    try:
        return read_ordinary(path, max_bytes)
    except FileFault as fault:
        raise unreadable_file(path, what, fault) from fault


def open_named(path: Path, what: str) -> io.BufferedReader:
    """As ``open_ordinary``; raises UserError as ``read_bounded`` does."""
    try:
        return open_ordinary(path)
    except FileFault as fault:
        raise unreadable_file(path, what, fault) from fault


def require_file(path: Path, what: str) -> None:
    """Raise UserError as ``read_bounded`` does where a file cannot be read, without reading it."""
    open_named(path, what).close()


def unreadable_file(path: Path, what: str, fault: FileFault) -> UserError:
    """The refusal of a file in words: ``file_missing``, ``too_large`` or ``bad_file``."""
    if fault.missing:
        return UserError(ErrorCode.FILE_MISSING, f"There is no {what} file at {shown(path)}.", "Check the path.")
    if fault.damaged:
        return UserError(ErrorCode.BAD_FILE, f"{shown(path)} is not a {what} file: {fault.reason}.")
    code = ErrorCode.TOO_LARGE if fault.too_large else ErrorCode.BAD_FILE
    return UserError(code, f"The {what} file {shown(path)} cannot be read: {fault.reason}.")


def shown(path: Path | str) -> str:
    """A path as sentences show it: what cannot be spelled or travel becomes a question mark, a long one is cut."""
    text = str(path).encode("utf-8", "replace").decode().replace("\0", "?")
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN // 2]}…{text[-MAX_SHOWN // 2 :]}"


def is_file(path: Path) -> bool:
    """True for an ordinary file, or a link to one. Path.is_file raises where a name is too long or a folder closed."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """True for a folder, or a link to one; as ``is_file``."""
    return os.path.isdir(path)  # noqa: PTH112


def is_text(path: Path) -> bool:
    """True for a path that can be written and sent: file systems have names that are no text in UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def in_words(size: int) -> str:
    """A number of bytes in words: 256 MB."""
    return f"{size >> 20} MB" if size >= 1 << 20 else f"{size >> 10} kB" if size >= 1 << 10 else f"{size} bytes"


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text; whole numbers of more than ``LONGEST_WHOLE`` digits are read as real ones.

    Raises:
        ValueError: it is no JSON, or nested too deep to be anybody's.
    """
    if not data.strip():
        raise ValueError("it is empty")
    try:
        return json.loads(data, parse_int=lambda digits: int(digits) if len(digits) <= LONGEST_WHOLE else float(digits))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not text in UTF-8") from error


def read_json(path: Path, what: str, max_bytes: int) -> Any:
    """The value of a JSON file, see ``read_bounded`` and ``parse_json``.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``.
    """
    try:
        return parse_json(read_bounded(path, what, max_bytes))
    except ValueError as error:
        raise UserError(ErrorCode.BAD_FILE, f"The {what} file {shown(path)} is not JSON: {error}.") from error
