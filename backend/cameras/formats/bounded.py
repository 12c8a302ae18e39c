"""Bytes of a file that nobody vouches for: of a regular file only, and no more of them than are sensible."""

from __future__ import annotations

import codecs
import io
import os
from pathlib import Path

from backend.cameras.named import bad_calibration
from backend.reading import FileFault, open_ordinary

MAX_TEXT_BYTES = 16 << 20
"""OpenCV's largest calibrations, with every point of every picture, have a few megabytes."""
_EMPTY = "it is empty, so it holds no camera"
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def open_regular(path: Path, max_bytes: int) -> io.BufferedReader:
    """A regular file opened: opening a pipe or a device may never return.

    Raises:
        UserError: ``bad_calibration``, also where the file is empty or larger than ``max_bytes``.
    """
    try:
        file = open_ordinary(path)
    except FileFault as fault:
        raise bad_calibration(path, fault.reason) from fault
    size = os.fstat(file.fileno()).st_size
    if not 0 < size <= max_bytes:
        file.close()
        raise bad_calibration(path, f"it is larger than {max_bytes >> 20} MB" if size else _EMPTY)
    return file


def read_text(path: Path) -> str:
    """The text of a file of at most ``MAX_TEXT_BYTES``: UTF-8, or what its byte order mark says.

    Raises UserError as ``open_regular`` does, and where it is not text.
    """
    with open_regular(path, MAX_TEXT_BYTES) as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:  # it grew, or lied
        raise bad_calibration(path, f"it is larger than {MAX_TEXT_BYTES >> 20} MB")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise bad_calibration(path, "it is not text in UTF-8") from error
    if "\0" in text:
        raise bad_calibration(path, "it is not text: it has NUL characters")
    return text
