"""The list of heads, aligners, exports and adapted weights; a head is read once and not again before it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from backend.alignment.flowface.adapted import list_adapted
from backend.errors import UserError
from backend.head_model.io import read_head
from backend.head_model.library import HeadEntry, list_heads
from backend.server.lists import shorten
from backend.server.reading_link import FileState
from protocol.messages import AlignerInfo, ExportInfo, HeadInfo, HeadList, WeightsInfo

log = logging.getLogger(__name__)

MAX_HEADS = 500
"""That a list tells of: so many fit into a message with licences of ``MAX_LICENCE_BYTES``."""
MAX_LICENCE_BYTES = 512
MAX_WEIGHTS = 200

_known: dict[FileState, HeadInfo | None] = {}
"""What has been read; None of a damaged file."""


def head_list(
    aligners: tuple[AlignerInfo, ...],
    exports: tuple[ExportInfo, ...],
    opening: Callable[[Path], None],
    *,
    weights: bool = False,
) -> HeadList:
    """What a job may name, with adapted ``weights`` or without; ``opening`` is called before a file is read, and may
    refuse by a UserError."""
    names = tuple(aligner.name for aligner in aligners)
    return HeadList(known_heads(opening), names, aligners, exports, known_weights(opening) if weights else ())


def known_weights(opening: Callable[[Path], None]) -> tuple[WeightsInfo, ...]:
    """The adapted weights that a job may name."""
    found = []
    for weights in list_adapted(opening)[:MAX_WEIGHTS]:
        clips = shorten(", ".join(weights.clips), MAX_LICENCE_BYTES)
        found.append(WeightsInfo(weights.name, f"adapted to {clips}" if clips else ""))
    return tuple(found)


def known_heads(opening: Callable[[Path], None]) -> tuple[HeadInfo, ...]:
    """The heads that a job may name; one whose file is damaged is left out, and the log says why."""
    entries = [(entry, FileState.of(entry.path)) for entry in list_heads()[:MAX_HEADS]]
    for gone in _known.keys() - {file for _, file in entries}:
        del _known[gone]
    for entry, file in entries:
        if file not in _known:
            _known[file] = _read(entry, opening)
    return tuple(info for _, file in entries if (info := _known[file]) is not None)


def _read(entry: HeadEntry, opening: Callable[[Path], None]) -> HeadInfo | None:
    try:
        opening(entry.path)
        head = read_head(entry.path)
    except UserError as error:
        log.warning("%s", error)
        return None
    except Exception as error:  # a damaged file may raise anything, and must not take the list with it
        log.warning("the head file %s cannot be read: %s: %s", entry.path, type(error).__name__, error)
        return None
    origin = "built in" if entry.built_in else "added by the user"
    licence = shorten(head.licence, MAX_LICENCE_BYTES)
    return HeadInfo(entry.name, origin, licence, head.vertex_count, len(head.expression_names))
