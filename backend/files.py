"""Files that are either whole or absent, and archives of arrays that are read without trusting them."""

from __future__ import annotations

import errno
import io
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

from backend.reading import BINARY, MAX_SHOWN, FileFault, in_words, open_ordinary, unreadable_file

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}|\.[0-9a-f]{8}\.(mp4|png)")  # of ``_atomic`` and of proxies
MAX_NPZ_BYTES = 1 << 30
"""Of all arrays of an npz, unpacked."""
MAX_NPZ_RATIO, FREE_NPZ_BYTES = 64, 64 << 20
"""How many times its own size an npz may unpack to, once that is more than ``FREE_NPZ_BYTES``. The heads, tracks and
meshes that FlowFace writes unpack to 1.0 to 2.3 times theirs; zeros to 1000 times."""
MAX_NPZ_ARRAYS = 10_000
MAX_DIRECTORY_BYTES = 4 << 20
"""Of an npz's list of arrays, which zipfile reads as a whole: about 200 for each."""


def file_name(name: str) -> str:
    """A view's name as part of a file's name: what file systems may not like becomes an underscore."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "camera"


def write_atomic(path: Path, data: bytes, *, public: bool = False) -> None:
    """Write a file so that a reader, or a crash at any moment, sees the old content or the new one, never a part.

    Only the user may read it; ``public`` leaves that to the umask, as for any file a user asked for.
    """
    with _atomic(path, public=public) as file:
        file.write(data)


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], *, compress: bool = True, public: bool = False) -> None:
    """Write arrays (numbers and booleans only) as an npz, as ``write_atomic`` writes."""
    with _atomic(path, public=public) as file:
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


def raise_where_full(error: Exception, path: Path) -> None:
    """Raise OSError in place of what a writer of ``path`` raised where the disk had no room; else do nothing.

    For who goes on without the file otherwise: a job that waits until there is room loses nothing.
    """
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        raise OSError(number, os.strerror(number), str(path)) from error


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


def read_npz(path: Path, what: str, max_bytes: int = MAX_NPZ_BYTES, *, texts: bool = False) -> dict[str, NDArray[Any]]:
    """All arrays of an npz, without pickles and without believing the sizes that it claims before they are checked.

    ``what`` names the kind of file in sentences ("track"); ``max_bytes`` bounds the file, and what all arrays of it
    unpack to; ``texts`` lets them be texts, too.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``.
    """
    try:
        return read_arrays(path, max_bytes, texts=texts)
    except FileFault as fault:
        raise unreadable_file(path, what, fault) from fault


def read_arrays(path: Path, max_bytes: int = MAX_NPZ_BYTES, *, texts: bool = False) -> dict[str, NDArray[Any]]:
    """As ``read_npz``, for rooms with sentences of their own; raises FileFault."""
    with open_ordinary(path) as file:
        return _unpacked(file, max_bytes, texts)


def unpack_arrays(data: bytes, max_bytes: int = MAX_NPZ_BYTES, *, texts: bool = False) -> dict[str, NDArray[Any]]:
    """The arrays of an npz in memory, as ``read_arrays``; raises FileFault."""
    return _unpacked(io.BytesIO(data), max_bytes, texts)


def _unpacked(file: IO[bytes], max_bytes: int, texts: bool) -> dict[str, NDArray[Any]]:
    try:
        with opened_archive(file, max_bytes) as archive:
            kinds = "biufU" if texts else "biuf"
            members = archive.infolist()
            return {member.filename.removesuffix(".npy"): _read_member(archive, member, kinds) for member in members}
    except (FileFault, MemoryError):
        raise
    except Exception as error:  # zipfile and zlib raise many unrelated types on bad bytes
        raise FileFault(str(error)[:MAX_SHOWN], damaged=True) from error


class _Bounded(io.RawIOBase):
    """A file of which no more than ``limit`` bytes are read at once: zipfile believes what a list of members claims."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.limit = MAX_DIRECTORY_BYTES

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size) if 0 <= size <= self.limit else self._file.read(self.limit + 1)
        if len(data) > self.limit:
            raise ValueError("its list of members is larger than any")
        return data


@contextmanager
def opened_archive(file: IO[bytes], max_bytes: int) -> Iterator[zipfile.ZipFile]:
    """A zip archive, once what its members claim to unpack to is neither too much nor absurd: no more comes of them.

    Raises:
        FileFault: ``too_large``.
        ValueError and what zipfile raises: it is no archive, or one that is packed in a way that cannot be bounded.
    """
    size = file.seek(0, io.SEEK_END)
    if size > max_bytes + MAX_DIRECTORY_BYTES:
        raise FileFault(f"it is larger than {in_words(max_bytes)}", too_large=True)
    bounded = _Bounded(file)
    with zipfile.ZipFile(bounded) as archive:  # type: ignore[call-overload]
        _require_sensible(archive.infolist(), size, max_bytes)
        bounded.limit = max_bytes
        yield archive


def _require_sensible(members: list[zipfile.ZipInfo], size: int, max_bytes: int) -> None:
    if len(members) > MAX_NPZ_ARRAYS:
        raise FileFault(f"it holds more than {MAX_NPZ_ARRAYS} arrays", too_large=True)
    for member in members:
        # what is packed in other ways zipfile unpacks as a whole, however large it becomes
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{member.filename[:60]} is packed in a way that is not read")
    unpacked = sum(member.file_size for member in members)
    if unpacked > max_bytes:
        raise FileFault(f"it would unpack to more than {in_words(max_bytes)}", too_large=True)
    if unpacked > max(FREE_NPZ_BYTES, MAX_NPZ_RATIO * size):
        sentence = f"it would unpack from {in_words(size)} to {in_words(unpacked)}, which nothing real does"
        raise FileFault(sentence, too_large=True)


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str) -> NDArray[Any]:
    """An array, of exactly the bytes that its member claims and that were counted before."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"array format {version} of {member.filename} is unknown")
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = reader(file)  # type: ignore[no-untyped-call]
        if dtype.kind not in kinds:
            raise ValueError(f"{member.filename} holds {dtype}, not numbers")
        if any(not 0 <= count <= MAX_NPZ_BYTES for count in shape):
            raise ValueError(f"{member.filename} does not hold the shape {shape} that it claims")
        size = dtype.itemsize
        for count in shape:
            size *= count
        if size != member.file_size - file.tell():
            raise ValueError(f"{member.filename} does not hold the {size} bytes that it claims")
        data = file.read(size)
        if file.read(1) or len(data) != size:  # the first looks at the checksum, too
            raise ValueError(f"{member.filename} does not hold the {size} bytes that it claims")
        flat = np.frombuffer(data, dtype) if size else np.empty(0, dtype)
        array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
        return np.ascontiguousarray(array) if array.ndim else array
