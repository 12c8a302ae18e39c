"""A toy export in one file: how far the jaw is open, one line a frame."""

from __future__ import annotations

from backend.head_model.model import HeadModel
from backend.track.types import Track
from protocol.offers import ExportInfo

INFO = ExportInfo("toy", "Jaw by Frame", ".jaw", "how far the jaw is open")


def jaw_lines(track: Track, head: HeadModel) -> bytes:
    """The frames' numbers and the expression's jawOpen, after the head's name."""
    jaw = track.expression[:, head.expression_names.index("jawOpen")]
    lines = [head.id, *(f"{frame} {value:.3f}" for frame, value in zip(track.frames, jaw, strict=True))]
    return "\n".join(lines).encode()
