"""A folder as one file on its way from a backend to its client: a zip whose files are stored as they are.

Nothing of it is believed: a name that leads elsewhere, a link or a file that would unpack to more than it is, is
refused before anything of it is written.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from .codec import ProtocolCode, ProtocolError

MAX_FILES = 1_000_000


def is_plain(name: str) -> bool:
    """Whether a name leads nowhere else than into the folder that it is written to, on every system."""
    if not name or name[-1] in ". ":  # “.” and “..”, and “.. ”, from which Windows takes the space away
        return False
    return not any(letter in "/\\:" or ord(letter) < 32 for letter in name)


def pack_folder(folder: Path, file: Path) -> None:
    """Write all files below ``folder`` as a zip, in the order of their names; raises OSError."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())


def unpack_folder(data: bytes | memoryview, folder: Path) -> int:
    """Write the files of a packed folder into ``folder``, which is there and empty; how many they are.

    Raises:
        ProtocolError: ``bad_file`` where it is no such zip.
        OSError: they cannot be written.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check(entries, len(data))
            for entry in entries:
                path = folder / entry.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
        raise ProtocolError(ProtocolCode.BAD_FILE, "The backend's packed folder is damaged.") from error
    return len(entries)


def _check(entries: list[zipfile.ZipInfo], size: int) -> None:
    names = [entry.filename for entry in entries]
    for entry in entries:
        if not all(map(is_plain, entry.filename.split("/"))) or entry.compress_type != zipfile.ZIP_STORED:
            sentence = f"The backend's packed folder has a file with the name “{entry.filename[:60]}”."
            raise ProtocolError(ProtocolCode.BAD_FILE, sentence)
    if len(names) > MAX_FILES or len({*names}) < len(names) or sum(entry.file_size for entry in entries) > size:
        raise ProtocolError(ProtocolCode.BAD_FILE, "The backend's packed folder holds more than it can.")
