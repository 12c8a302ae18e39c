"""Files that are either whole or absent, and archives of arrays that are read without trusting them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}|\.[0-9a-f]{8}\.(mp4|png)")  # of ``_atomic`` and of proxies
BINARY: int = getattr(os, "O_BINARY", 0)  # Windows would turn line feeds into two bytes


def file_name(name: str) -> str:
    """A view's name as part of a file's name: what file systems may not like becomes an underscore."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "camera"


def write_atomic(path: Path, data: bytes, *, public: bool = False) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old content or the new one, never a part.

    Only the user may read it; ``public`` leaves that to the umask, as for any file a user asked for.
    """
    with _atomic(path, public=public) as file:
        file.write(data)


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], *, compress: bool = True) -> None:
    """Write arrays (numbers and booleans only) as an npz, atomically."""
    with _atomic(path) as file:
        (np.savez_compressed if compress else np.savez)(file, **dict(arrays))


@contextmanager
def _atomic(path: Path, *, public: bool = False) -> Iterator[IO[bytes]]:
    """A file beside ``path`` that takes its place once it is whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY, 0o666 if public else 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        put_in_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def remove_temporary_files(folder: Path) -> None:
    """Delete what a process that was killed left half-written in a folder; raises nothing."""
    for path in folder.glob(".*"):
        if _TEMPORARY.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()


def link_or_copy(source: Path, path: Path) -> None:
    """Have a file at ``path`` too, over one that is there: the same on disk where that is possible, else a copy.

    For files that are only ever replaced as wholes. Raises OSError.
    """
    if path.exists() and path.samefile(source):
        return
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, path)


def waits_for_readers(system: str) -> tuple[float, ...]:
    """Seconds to wait between tries of replacing a file: Windows refuses while anyone reads it, others never do."""
    return (0.01, 0.05, 0.2, 0.5, 1.0) if system == "win32" else ()


def put_in_place(whole: Path, path: Path) -> None:
    """Move a finished file over ``path``, which readers see as the old one or the new one; raises OSError."""
    for seconds in waits_for_readers(sys.platform):
        try:
            whole.replace(path)
        except PermissionError:
            time.sleep(seconds)
        else:
            return
    whole.replace(path)


def read_npz(path: Path, what: str, max_bytes: int = 1 << 30) -> dict[str, NDArray[Any]]:
    """All arrays of an npz, without pickles and without believing the sizes that it claims before they are checked.

    ``what`` names the kind of file in sentences ("track"); ``max_bytes`` bounds the unpacked size of all arrays.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``.
    """
    if not path.is_file():
        raise UserError(ErrorCode.FILE_MISSING, f"There is no {what} file at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > max_bytes:
                raise UserError(
                    ErrorCode.TOO_LARGE, f"The {what} file {path} would unpack to more than {max_bytes} bytes."
                )
            return {member.filename.removesuffix(".npy"): _read_member(archive, member) for member in members}
    except UserError:
        raise
    except Exception as error:  # zipfile and zlib raise many unrelated types on bad bytes
        raise UserError(ErrorCode.BAD_FILE, f"{path} is not a {what} file: {error}.") from error


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"array format {version} of {member.filename} is unknown")
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(file)  # type: ignore[no-untyped-call]
        if dtype.kind not in "biuf":
            raise ValueError(f"{member.filename} holds {dtype}, not numbers")
        size = dtype.itemsize
        for count in shape:
            size *= count
        if size != member.file_size - file.tell():
            raise ValueError(f"{member.filename} does not hold the {size} bytes that it claims")
        flat = np.frombuffer(file.read(size), dtype) if size else np.empty(0, dtype)
        array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return np.ascontiguousarray(array) if array.ndim else array
