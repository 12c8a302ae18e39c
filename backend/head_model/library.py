"""Which heads there are, and loading one by name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import platformdirs

from backend.errors import UserError
from backend.head_model.io import read_head
from backend.head_model.model import HeadModel

ASSETS = Path(__file__).parent / "assets"
OPEN_HEAD = ASSETS / "open_head.npz"


@dataclass(frozen=True)
class HeadEntry:
    """A head that ``load_head`` can load: its name, its file and whether it came with FlowFace."""

    name: str
    path: Path
    built_in: bool


def user_heads_dir() -> Path:
    """Where heads that a user added live on this system."""
    return Path(platformdirs.user_data_dir("flowface")) / "heads"


def list_heads() -> list[HeadEntry]:
    """Every head there is, the built-in open head first, then the user's by name."""
    heads = [HeadEntry("open", OPEN_HEAD, True)]
    added = sorted(user_heads_dir().glob("*.npz")) if user_heads_dir().is_dir() else []
    return heads + [HeadEntry(path.stem, path, False) for path in added if path.stem != "open"]


def load_head(name: str = "open") -> HeadModel:
    """The head called ``name``, cached by its file's time and size; treat its arrays as read-only.

    Raises ``UserError`` ``head_unknown`` for a name that is not there, and ``read_head``'s errors for a file that is
    not a head.
    """
    entries = {entry.name: entry for entry in list_heads()}
    entry = entries.get(name)
    if entry is None:
        raise UserError(
            "head_unknown",
            f"There is no head called {name!r}; there are: {', '.join(entries)}.",
            "List the heads: flowface head list.",
        )
    if not entry.path.is_file():
        return read_head(entry.path)
    state = entry.path.stat()
    return _read_cached(entry.path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read_cached(path: Path, modified_ns: int, size: int) -> HeadModel:  # noqa: ARG001 - the cache's key
    return read_head(path)
