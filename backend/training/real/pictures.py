"""The real pictures that may be learnt from: people of the train split, footage with a clear licence, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from backend.datasets.splits import split_of_clip, split_of_photo
from backend.errors import ErrorCode, UserError

PHOTOGRAPHS = ("london_neutral", "london_smiling", "canada")
CLIPS = ("grid_*", "intel_*", "pyfeat_single_face")
INCLUDED = (*PHOTOGRAPHS, *CLIPS)
"""Sets of photographs and patterns of clips whose licence is clear (CC BY 4.0, MIT): weights that learnt from them may
be given away. The other clips of the development data do not say where their footage is from."""


def train_photographs(folder: Path, sets: Sequence[str] = PHOTOGRAPHS) -> list[Path]:
    """The photographs ``folder``/set/*.jpg of people of the train split, in a fixed order.

    Raises UserError ``no_photos`` where a set is empty.
    """
    found: list[Path] = []
    for name in sets:
        files = sorted((folder / name).glob("*.jpg"))
        if not files:
            raise UserError(
                ErrorCode.NO_PHOTOS, f"{folder / name} holds no .jpg photographs.", "Point at the photos folder."
            )
        found += [path for path in files if split_of_photo(path) == "train"]
    return found


def train_clips(folder: Path, patterns: Sequence[str] = CLIPS) -> list[Path]:
    """The clips of ``folder`` with names like ``patterns`` and people of the train split, in a fixed order.

    Raises UserError ``no_clips`` where a pattern names none.
    """
    found: list[Path] = []
    for pattern in patterns:
        files = sorted(path for path in folder.glob("*") if fnmatchcase(path.stem, pattern))
        if not files:
            raise UserError(
                ErrorCode.NO_CLIPS, f"{folder} holds no clip called {pattern}.", "Point at the data folder."
            )
        found += [path for path in files if split_of_clip(path) == "train" and path not in found]
    return found


def pictures_of(data: Path, include: Sequence[str] = INCLUDED) -> tuple[list[Path], list[Path]]:
    """The train photographs of ``data``/photos and the train clips of ``data``/clips that ``include`` asks for.

    Raises UserError ``unclear_licence`` for anything beyond ``INCLUDED``, and as the two functions above.
    """
    sets = [name for name in include if name in PHOTOGRAPHS]
    patterns = [name for name in include if name not in PHOTOGRAPHS]
    for name in patterns:
        if not any(name == known or fnmatchcase(name, known) for known in CLIPS):
            raise UserError(
                ErrorCode.UNCLEAR_LICENCE,
                f"The weights may not learn from “{name}”: its licence is not known to allow that.",
                f"Choose from {', '.join(INCLUDED)}.",
            )
    return train_photographs(data / "photos", sets), train_clips(data / "clips", patterns)
