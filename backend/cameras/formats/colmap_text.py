"""COLMAP's text export: ``cameras.txt`` (lenses) and ``images.txt`` (where each picture was taken from)."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from backend.cameras.formats.bounded import open_regular, read_text
from backend.cameras.formats.colmap_models import (
    MAX_IMAGE_BYTES,
    ColmapLens,
    image_camera,
    lens_camera,
    require_model,
)
from backend.cameras.named import NamedCamera, bad_calibration, require_few

CAMERAS, IMAGES = "cameras.txt", "images.txt"
MAX_LINE = 1 << 14
"""Bytes that the line of a picture may have; that of its points may have any number."""


def read_colmap_text(folder: Path) -> Iterator[NamedCamera]:
    """The cameras of a COLMAP text model: one for each image, named as it; of a lone ``cameras.txt``, one per lens.

    Raises:
        UserError: ``bad_calibration`` naming the line, or the camera model that is not supported.
    """
    lenses = _lenses(folder / CAMERAS)
    images = folder / IMAGES
    if not images.exists():
        yield from (lens_camera(folder / CAMERAS, key, lens) for key, lens in lenses.items())
        return
    for count, (number, line) in enumerate(_image_lines(images), start=1):
        require_few(images, count)
        fields = line.split(maxsplit=9)
        try:
            w, x, y, z, *shift = (float(text) for text in fields[1:8])
            lens, name = lenses[fields[8]], fields[9].strip()
        except (ValueError, IndexError, KeyError) as error:
            raise bad_calibration(images, f"line {number} is not an image of a camera in {CAMERAS}") from error
        yield image_camera(images, f"line {number}", name, lens, (w, x, y, z), shift)


def _lenses(path: Path) -> dict[str, ColmapLens]:
    if not path.exists():
        raise bad_calibration(path, f"there is no such file beside {IMAGES}", "Export the model as text from COLMAP.")
    lenses: dict[str, ColmapLens] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split()
        names = require_model(path, f"line {number}", fields[1] if len(fields) > 1 else "")
        if fields[0] in lenses:
            raise bad_calibration(path, f"line {number} is a second camera {fields[0][:20]}")
        try:
            width, height = int(fields[2][:20]), int(fields[3][:20])
            values = [float(text) for text in fields[4:]]
            lenses[fields[0]] = ColmapLens(fields[1], (width, height), dict(zip(names, values, strict=True)))
        except (ValueError, IndexError) as error:
            wanted = ", ".join(names)
            raise bad_calibration(path, f"line {number} is not ID {fields[1]} WIDTH HEIGHT {wanted}") from error
    return lenses


def _image_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Every other line: each image is followed by one with its points, which may be empty."""
    number, points = 0, False
    with open_regular(path, MAX_IMAGE_BYTES) as file:
        while line := file.readline(MAX_LINE):
            if file.tell() > MAX_IMAGE_BYTES:  # it grows while it is read
                raise bad_calibration(path, f"it is larger than {MAX_IMAGE_BYTES >> 20} MB")
            number += 1
            line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            long = not line.endswith(b"\n") and len(line) == MAX_LINE
            if line.startswith(b"#"):
                pass
            elif points:
                if not long and not _lists_points(line):
                    raise bad_calibration(path, f"line {number} should list points: it may be empty but must be there")
                points = False
            elif line.strip():
                if long:
                    raise bad_calibration(path, f"line {number} is too long for an image of a camera in {CAMERAS}")
                yield number, _text(path, number, line)
                points = True
            if long:
                _finish_line(file)


def _lists_points(line: bytes) -> bool:
    """True for x, y and a point's number, any number of times; names of pictures have letters."""
    return not line.strip(b"0123456789+-.eEnaifNIF \t\r\n") and len(line.split()) % 3 == 0


def _finish_line(file: BinaryIO) -> None:
    while (piece := file.readline(1 << 20)) and not piece.endswith(b"\n"):
        pass


def _text(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise bad_calibration(path, f"line {number} is not text") from error
