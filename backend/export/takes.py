"""What is exported: a take as its files have it, with the head that it was fitted with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.head_model.library import load_head_of
from backend.head_model.model import HeadModel
from backend.track.io import load_track
from backend.track.types import Track


@dataclass(frozen=True, eq=False)
class ExportTake:
    """A take that was tracked. ``file`` is its track's, beside which its texture and alignments may lie.

    ``name`` is what the take is called where several are written beside each other.
    """

    track: Track
    head: HeadModel
    file: Path
    name: str = "take"


def read_take(file: Path, name: str = "") -> ExportTake:
    """The take of a track's file, called ``name``, or as the file's folder.

    Raises:
        UserError: what ``load_track`` and ``head_of`` raise.
    """
    track = load_track(file)
    return ExportTake(track, head_of(track), file, name or file.absolute().parent.name or "take")


def head_of(track: Track) -> HeadModel:
    """The head that a track was fitted with.

    Raises:
        UserError: ``head_unknown`` and ``head_changed`` where it is not there as it was.
    """
    head = load_head_of(track.head_id, track.head_hash)
    if head.hash != track.head_hash:
        sentence = f"The head “{track.head_id}” has changed since the footage was tracked."
        raise UserError(ErrorCode.HEAD_CHANGED, sentence, "Track the footage again.")
    return head
