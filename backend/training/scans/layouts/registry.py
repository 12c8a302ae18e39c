"""The kinds of folders that are known, by the name that the command line gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.training.scans.layouts.facescape import read_facescape, read_facescape_models
from backend.training.scans.layouts.famos import read_famos
from backend.training.scans.layouts.stirling import read_stirling
from backend.training.scans.layouts.types import Folder

LAYOUTS: dict[str, tuple[int, Callable[..., Folder]]] = {
    "facescape": (2, read_facescape),
    "facescape-models": (1, read_facescape_models),
    "stirling": (1, read_stirling),
    "famos": (3, read_famos),
}
"""How many folders each has, and what reads them."""


def read_layout(kind: str, folders: Sequence[Path]) -> Folder:
    """What ``folders`` hold. Raises UserError ``bad_option`` and ``bad_file``."""
    if kind not in LAYOUTS:
        raise UserError(
            ErrorCode.BAD_OPTION, f"“{kind}” is no kind of scans that is known.", f"Known are {', '.join(LAYOUTS)}."
        )
    count, read = LAYOUTS[kind]
    if len(folders) != count:
        raise UserError(ErrorCode.BAD_OPTION, f"{kind} has {count} folders, but {len(folders)} were given.")
    return read(*folders)
