"""Looks at a take, kept while a driver is learnt from them: they take longer than all the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from backend.appearance.examples import Examples
from backend.appearance.model import Observed
from backend.errors import UserError
from backend.files import read_npz, remove_temporary_files, write_npz

LOOKS = "looks.npz"
MAX_BYTES = 1 << 30
Looks = tuple[Examples, Observed]


def kept_looks(folder: Path, gather: Callable[[], Looks]) -> Looks:
    """The looks kept in ``folder``, which is made where it is missing, or else those of ``gather``, which are kept."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    remove_temporary_files(folder)
    path = folder / LOOKS
    if path.is_file():
        try:
            arrays = read_npz(path, "looks", MAX_BYTES)
            examples, observed = (
                {item.name: arrays[f"{prefix}_{item.name}"] for item in fields(kind)}
                for prefix, kind in (("look", Examples), ("skin", Observed))
            )
            return Examples(**examples), Observed(**observed)
        except (UserError, KeyError):
            path.unlink()
    found = gather()
    arrays = {f"look_{item.name}": getattr(found[0], item.name) for item in fields(Examples)}
    arrays |= {f"skin_{item.name}": getattr(found[1], item.name) for item in fields(Observed)}
    write_npz(path, arrays, compress=False)
    return found
