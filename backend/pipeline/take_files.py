"""The names of a take's files in its folder. Faces are counted from 1."""

from __future__ import annotations

import re
from pathlib import Path

TRACKED = "tracked.npz"
"""The take as it was tracked, beside a refined one."""
_OF_A_FACE = re.compile(r"(track|alignments|wrinkles)(_[2-9])?\.npz|texture(_[2-9])?\.png")


def track_file(number: int) -> str:
    """The name of the track of a job's face."""
    return _numbered("track", number, "npz")


def texture_file(number: int) -> str:
    """The name of the texture of a job's face."""
    return _numbered("texture", number, "png")


def wrinkles_file(number: int) -> str:
    """The name of the wrinkles of a job's face."""
    return _numbered("wrinkles", number, "npz")


def alignments_file(number: int) -> str:
    """The name of the alignment of a job's face."""
    return _numbered("alignments", number, "npz")


def _numbered(name: str, number: int, ending: str) -> str:
    return f"{name}.{ending}" if number == 1 else f"{name}_{number}.{ending}"


def files_of_take(folder: Path) -> list[Path]:
    """The files of the take in a folder, besides its report; none where there is no take."""
    if not (folder / track_file(1)).is_file():
        return []
    return [path for path in folder.iterdir() if path.name == TRACKED or _OF_A_FACE.fullmatch(path.name)]
