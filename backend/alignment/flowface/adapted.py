"""Weights that were adapted to an actor and a camera (``flowface adapt``): the user's own, by name."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs

from backend.errors import ErrorCode, UserError
from backend.head_model.library import DEVICES
from backend.reading import is_file, open_named, parse_json

log = logging.getLogger(__name__)

SUFFIX = ".safetensors"
MAX_HEADER = 1 << 22
"""Bytes, as ``weights_file`` has it."""
ADAPTATION = "adaptation"
"""Key of a weights file's metadata: JSON of the clips, the figures before and after, and how it was made."""


@dataclass(frozen=True, eq=False)
class AdaptedWeights:
    """A file of adapted weights; ``about`` is its ``ADAPTATION``."""

    name: str
    path: Path
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def clips(self) -> tuple[str, ...]:
        """The names of the clips that they were adapted to."""
        told = self.about.get("clips")
        if not isinstance(told, list):
            return ()
        return tuple(str(clip["name"]) for clip in told if isinstance(clip, dict) and "name" in clip)


def adapted_dir() -> Path:
    """The folder of adapted weights on this system."""
    return Path(platformdirs.user_data_dir("flowface")) / "weights"


def adapted_path(name: str) -> Path:
    """The file of the adapted weights called ``name``."""
    return adapted_dir() / f"{name}{SUFFIX}"


def named_weights(path: Path) -> Path | None:
    """The adapted weights that ``path`` names where it is no more than a name of some; None for anything else."""
    if len(path.parts) != 1 or not _NAME.fullmatch(path.name):
        return None
    found = adapted_path(path.name)
    return found if is_file(found) else None


def list_adapted(opening: Callable[[Path], None] | None = None) -> list[AdaptedWeights]:
    """All adapted weights by name; ``opening`` is called before a file is read, and may refuse by a UserError.

    A file that cannot be read is left out, and the log says why.
    """
    folder = adapted_dir()
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []:
        if not _NAME.fullmatch(path.stem):
            continue  # no job could name it
        try:
            if opening is not None:
                opening(path)
            found.append(AdaptedWeights(path.stem, path, _about(path)))
        except (UserError, ValueError) as error:
            log.warning("the adapted weights %s cannot be read: %s", path, error)
    return found


def _about(path: Path) -> dict[str, Any]:
    """A weights file's ``ADAPTATION``, read without torch, which whoever lists has not loaded; {} where it has none.

    Raises UserError, and ValueError for what is no such file.
    """
    with open_named(path, "weights") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= MAX_HEADER:
            raise ValueError("it does not start as a safetensors file does")
        header = parse_json(file.read(length))
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    told = metadata.get(ADAPTATION) if isinstance(metadata, dict) else None
    about = parse_json(told) if isinstance(told, str) else {}
    return about if isinstance(about, dict) else {}


def require_weights_name(name: str, *, replace: bool = False) -> None:
    """Raises UserError ``bad_option`` for what cannot name weights, or names some already, unless ``replace``."""
    if not _NAME.fullmatch(name) or name.split(".")[0].lower() in DEVICES or name.endswith("."):
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"“{name[:60]}” cannot name weights: expected 1 to 40 letters, digits, '-', '_' or '.', a letter or digit "
            "first.",
            "Choose another with --name.",
        )
    if not replace and adapted_path(name).exists():
        raise UserError(
            ErrorCode.BAD_OPTION,
            f"There are adapted weights called {name} already.",
            "Give --replace, or another --name.",
        )


def remove_adapted(name: str) -> Path:
    """Delete adapted weights; returns their file. Raises UserError ``weights_missing``, ``output_unwritable``."""
    path = named_weights(Path(name))
    if path is None:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING, f"There are no adapted weights called {name!r}.", "See flowface adapt --list."
        )
    try:
        path.unlink()
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot remove {path}: {error.strerror}.") from error
    return path


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
