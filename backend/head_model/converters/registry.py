"""The head models that can be added, by name. A new one is a new file and a line at the end of this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from backend.errors import ErrorCode, UserError

if TYPE_CHECKING:
    from backend.head_model.registration.types import SourceHead

Read = Callable[[Path, Callable[[float], None]], "SourceHead"]
"""Reads a file or folder, telling the share done (0…1); raises UserError for what is no such head."""


@dataclass(frozen=True)
class Converter:
    """A way for a head model to come in: from which files, in words, and what reads them."""

    files: str
    read: Read


CONVERTERS: dict[str, Converter] = {}
"""By name, in the order in which they are offered."""


def register_converter(name: str, files: str, read: Read) -> None:
    """Let ``flowface head add`` name a head model."""
    CONVERTERS[name] = Converter(files, read)


def find_converter(name: str) -> Converter:
    """The converter called ``name``; raises UserError ``unknown_head_kind`` for a name that none has."""
    if name not in CONVERTERS:
        known = "”, “".join(CONVERTERS)
        raise UserError(ErrorCode.UNKNOWN_HEAD_KIND, f"There is no kind of head “{name[:60]}”; there are “{known}”.")
    return CONVERTERS[name]


def _ict(path: Path, on_progress: Callable[[float], None]) -> SourceHead:
    from backend.head_model.converters.ict import read_ict

    return read_ict(path, on_progress=on_progress)


def _flame(path: Path, _: Callable[[float], None]) -> SourceHead:
    from backend.head_model.converters.flame import read_flame

    return read_flame(path)


def _gnm(path: Path, _: Callable[[float], None]) -> SourceHead:
    from backend.head_model.converters.gnm import read_gnm

    return read_gnm(path)


register_converter("ict", "ICT-FaceKit's folder of .obj files", _ict)
register_converter("flame", "FLAME's .pkl or .npz", _flame)
register_converter("gnm", "GNM's gnm_head.npz", _gnm)
