"""COLMAP's binary model: ``cameras.bin`` (lenses) and ``images.bin`` (where each picture was taken from).

Little-endian, after COLMAP's ``Reconstruction::WriteCamerasBinary`` and ``WriteImagesBinary``. Counts in the files are
not believed: every read is held against what is left, and the points of a picture are passed over.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backend.cameras.formats.bounded import open_regular
from backend.cameras.formats.colmap_models import (
    MAX_IMAGE_BYTES,
    MAX_LENS_BYTES,
    PARAMETERS,
    ColmapLens,
    image_camera,
    lens_camera,
    require_model,
)
from backend.cameras.named import NamedCamera, bad_calibration, require_few

CAMERAS, IMAGES = "cameras.bin", "images.bin"
MAX_NAME = 4096
POINT_BYTES = 24
"""Bytes of a point in a picture: x, y, and the number of the point in space."""


def read_colmap_binary(folder: Path) -> Iterator[NamedCamera]:
    """The cameras of a COLMAP binary model: one for each image, named as it; of a lone ``cameras.bin``, one per lens.

    Raises:
        UserError: ``bad_calibration`` naming the entry, or the camera model that is not supported.
    """
    lenses = _lenses(folder / CAMERAS)
    images = folder / IMAGES
    if not images.exists():
        yield from (lens_camera(folder / CAMERAS, str(key), lens) for key, lens in lenses.items())
        return
    with _Reader(images, MAX_IMAGE_BYTES) as file:
        (count,) = file.take("<Q")
        require_few(images, count)
        for number in range(1, count + 1):
            _, w, x, y, z, *shift, key = file.take("<I7dI")
            name = file.text()
            (points,) = file.take("<Q")
            file.skip(points * POINT_BYTES)
            if key not in lenses:
                raise bad_calibration(images, f"image {number} is of camera {key}, which {CAMERAS} has not")
            yield image_camera(images, f"image {number}", name, lenses[key], (w, x, y, z), shift)
        file.require_end()


def _lenses(path: Path) -> dict[int, ColmapLens]:
    if not path.exists():
        raise bad_calibration(path, f"there is no such file beside {IMAGES}", "Export the whole model from COLMAP.")
    lenses: dict[int, ColmapLens] = {}
    models = list(PARAMETERS)
    with _Reader(path, MAX_LENS_BYTES) as file:
        (count,) = file.take("<Q")
        for number in range(1, count + 1):
            key, kind, width, height = file.take("<IiQQ")
            model = models[kind] if 0 <= kind < len(models) else f"number {kind}"
            names = require_model(path, f"camera {number}", model)
            if key in lenses:
                raise bad_calibration(path, f"camera {number} is a second one of number {key}")
            values = file.take(f"<{len(names)}d")
            lenses[key] = ColmapLens(model, (width, height), dict(zip(names, values, strict=True)))
        file.require_end()
    return lenses


class _Reader:
    """A binary file of which nothing is read that is not there."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._file = open_regular(path, max_bytes)
        self._left = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def take(self, form: str) -> tuple[Any, ...]:
        size = struct.calcsize(form)
        data = self._file.read(size)
        if len(data) != size:
            raise self._short()
        self._left -= size
        return struct.unpack(form, data)

    def text(self) -> str:
        """A text that a zero byte ends."""
        window = self._file.read(MAX_NAME)
        end = window.find(b"\0")
        if end < 0:
            raise self._short() if len(window) < MAX_NAME else bad_calibration(self._path, "a name in it has no end")
        self._file.seek(end + 1 - len(window), 1)
        self._left -= end + 1
        return window[:end].decode("utf-8", "replace")

    def skip(self, size: int) -> None:
        if size > self._left:
            raise self._short()
        self._file.seek(size, 1)
        self._left -= size

    def require_end(self) -> None:
        if self._left:
            raise bad_calibration(self._path, f"it is not as COLMAP writes it: {self._left} bytes are left over")

    def _short(self) -> Exception:
        return bad_calibration(self._path, "it is not as COLMAP writes it: it ends early")
