"""Options that several commands have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from backend.errors import ErrorCode, UserError

Frames = Annotated[
    str, typer.Option(help="First and last frame, both included; either may be left out.", metavar="A:B")
]
Weights = Annotated[
    Path | None,
    typer.Option(help="The network's weights, instead of its own: a .safetensors file, or a name of `adapt --list`."),
]


LAST_FRAME = 2**31 - 1  # ranges are cut to the footage; this is the largest number the protocol takes


def parse_frames(text: str) -> tuple[int, int]:
    """``A:B`` (both included), ``A:``, ``:B`` or ``A`` as (first, last); raises UserError (``bad_frames``)."""
    match = re.fullmatch(r"(\d{1,9})?(:)?(\d{1,9})?", text.strip())
    if match and (match[1] or match[3]):
        first = int(match[1] or 0)
        last = int(match[3]) if match[3] else LAST_FRAME if match[2] else first
        if first <= last:
            return first, last
    raise UserError(
        ErrorCode.BAD_FRAMES,
        f"“{text}” is not a frame range: expected FIRST:LAST, both included, with FIRST not after LAST.",
        "A video's frames count from 1, an image sequence's as in its file names.",
    )
