"""The file of a person's wrinkles, ``wrinkles.npz`` in a take's folder."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from backend.detail.types import Wrinkles
from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_npz

MAX_SIDE = 4096
MAX_BYTES = 4 * 4 * MAX_SIDE**2 + (1 << 20)


def save_wrinkles(wrinkles: Wrinkles, path: Path, *, public: bool = False) -> None:
    """Write the maps, whole or not at all; ``public`` as in ``write_atomic``."""
    write_npz(path, {item.name: getattr(wrinkles, item.name) for item in fields(wrinkles)}, public=public)


def load_wrinkles(path: Path) -> Wrinkles:
    """Read them.

    Raises:
        UserError: ``file_missing``, ``bad_file``, ``too_large``.
    """
    arrays = read_npz(path, "wrinkles", MAX_BYTES)
    maps = [arrays.get(item.name) for item in fields(Wrinkles)]
    shape = maps[0].shape if maps[0] is not None else ()
    for found in maps:
        square = found is not None and found.ndim == 2 and found.shape == shape and shape[0] == shape[1] <= MAX_SIDE
        if found is None or not square or found.dtype != np.float32 or not np.isfinite(found).all():
            raise UserError(
                ErrorCode.BAD_FILE,
                f"{path} holds no wrinkles: expected four square maps of one size, float32 and finite.",
                "Track the footage again with Wrinkles on.",
            )
    return Wrinkles(*(found for found in maps if found is not None))
