"""The library of heads: loading one by name, adding one, taking one away."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import platformdirs

from backend.errors import ErrorCode, UserError
from backend.files import put_in_place
from backend.head_model.dense_points import with_dense_points
from backend.head_model.io import read_head, save_head
from backend.head_model.model import HeadModel

ASSETS = Path(__file__).parent / "assets"
OPEN_HEAD = ASSETS / "open_head.npz"
BUILT_IN = {"open": OPEN_HEAD, "open1": ASSETS / "open1_head.npz"}
"""The heads that come with FlowFace by name, the current one first: earlier editions are there for their tracks."""
DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))})
"""Names that Windows takes for devices, with any ending."""


@dataclass(frozen=True)
class HeadEntry:
    """A head that ``load_head`` can load: its name, its file and whether it came with FlowFace."""

    name: str
    path: Path
    built_in: bool


def user_heads_dir() -> Path:
    """The folder of heads that a user added on this system."""
    return Path(platformdirs.user_data_dir("flowface")) / "heads"


def mica_path() -> Path:
    """Where MICA's weights lie once they were added (``backend.head_model.mica``): beside the folder of heads."""
    return user_heads_dir().parent / "mica.npz"


def list_heads() -> list[HeadEntry]:
    """Every head there is, the built-in open head first and its earlier editions next, then the user's by name."""
    heads = [HeadEntry(name, path, True) for name, path in BUILT_IN.items()]
    added = sorted(user_heads_dir().glob("*.npz")) if user_heads_dir().is_dir() else []
    return heads + [HeadEntry(path.stem, path, False) for path in added if path.stem not in BUILT_IN]


def load_head(name: str = "open") -> HeadModel:
    """The head called ``name``, cached by its file's time and size; treat its arrays as read-only.

    Its landmarks include the point set ``dense`` (``backend.head_model.dense_points``).

    Raises ``UserError`` ``head_unknown`` for a name that is not there, and ``read_head``'s errors for a file that is
    not a head.
    """
    entries = {entry.name: entry for entry in list_heads()}
    entry = entries.get(name)
    if entry is None:
        raise UserError(
            ErrorCode.HEAD_UNKNOWN,
            f"There is no head called {name!r}; there are: {', '.join(entries)}.",
            "List the heads: flowface head list.",
        )
    if not entry.path.is_file():
        return read_head(entry.path)
    state = entry.path.stat()
    return _read_cached(entry.path, state.st_mtime_ns, state.st_size)


def load_head_of(head_id: str, head_hash: str) -> HeadModel:
    """The head that a track was made with: of the editions of ``head_id`` the one whose hash is ``head_hash``.

    Editions of one head share the id in their files. Where none has the hash it is the head called ``head_id``, which
    the caller finds to be another. Raises ``UserError`` as ``load_head`` does.
    """
    current = load_head(head_id)
    if current.hash == head_hash or head_id not in BUILT_IN:
        return current
    editions = (load_head(name) for name in BUILT_IN if name != head_id)
    return next((head for head in editions if head.id == head_id and head.hash == head_hash), current)


def require_new_name(name: str, *, replace: bool = False) -> None:
    """Refuse a name that no new head can have.

    Raises ``UserError``: ``head_name`` for what cannot name a head, ``head_exists`` for one that is there already,
    unless ``replace``.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", name):
        raise UserError(
            ErrorCode.HEAD_NAME,
            f"{name!r} cannot name a head: expected 1 to 40 letters, digits, '-', '_' or '.', a letter or digit first.",
        )
    if name.split(".")[0].lower() in DEVICES or name.endswith("."):
        raise UserError(
            ErrorCode.HEAD_NAME, f"{name!r} cannot name a file on Windows, so that no head can have this name."
        )
    if name in BUILT_IN:
        raise UserError(
            ErrorCode.HEAD_NAME, f"The name {name!r} belongs to a built-in head.", "Choose another with --name."
        )
    if not replace and (user_heads_dir() / f"{name}.npz").exists():
        raise UserError(
            ErrorCode.HEAD_EXISTS, f"There is a head called {name} already.", "Give --replace, or another --name."
        )


def add_head(head: HeadModel, *, replace: bool = False, picture: bytes | None = None) -> Path:
    """Put a head among the user's, under its id, all or nothing; returns its file. ``picture`` (PNG) is kept beside it.

    Raises ``UserError``: ``require_new_name``'s, ``output_unwritable``.
    """
    require_new_name(head.id, replace=replace)
    path = user_heads_dir() / f"{head.id}.npz"
    unfinished = path.with_name(f".{head.id}.{os.getpid()}.part")
    try:
        save_head(head, unfinished)
        put_in_place(unfinished, path)
        if picture is not None:
            picture_path(head.id).write_bytes(picture)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot write {path}: {error.strerror or error}.") from error
    return path


def picture_path(name: str) -> Path:
    """The picture of an added head's registration, if there is one."""
    return user_heads_dir() / f"{name}.png"


def remove_head(name: str) -> Path:
    """Delete an added head's file and picture; returns the file's path.

    Raises ``UserError``: ``head_built_in`` for the open head, ``head_unknown``, ``output_unwritable``.
    """
    if name in BUILT_IN:
        raise UserError(ErrorCode.HEAD_BUILT_IN, f"The head {name!r} came with FlowFace and cannot be removed.")
    entry = {entry.name: entry for entry in list_heads()}.get(name)
    if entry is None:
        raise UserError(
            ErrorCode.HEAD_UNKNOWN, f"There is no head called {name!r}.", "List the heads: flowface head list."
        )
    try:
        entry.path.unlink()
        picture_path(name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"Cannot remove {entry.path}: {error.strerror}.") from error
    return entry.path


@lru_cache(maxsize=4)
def _read_cached(path: Path, modified_ns: int, size: int) -> HeadModel:  # noqa: ARG001 - the cache's key
    return with_dense_points(read_head(path))
