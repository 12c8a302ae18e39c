"""Files of iBUG's 68 points (``.pts``), as 300-W and 300-VW hold them.

    version: 1
    n_points:  68
    {
    446.000 91.000
    …
    }

The points were set in MATLAB and count from 1: (1, 1) is the centre of the first pixel (menpo/menpo#160; Menpo's
importer takes 1 off, to have that centre at (0, 0)). In FlowFace it is at (0.5, 0.5), so half a pixel comes off here.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.metrics.landmarks import OUTER_EYE_CORNERS
from backend.reading import read_bounded, shown

F64 = NDArray[np.float64]

POINTS = 68
FIRST_PIXEL = 0.5
"""What .pts files have more than FlowFace's pixels: 1 instead of 0.5 for the first pixel's centre."""
MAX_BYTES = 64 << 10
LARGEST = 1e6
"""Pixels from the picture's corner within which a point must lie; some lie a little outside the picture."""


class _Fault(Exception):  # noqa: N818 - a clause of a sentence
    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


def read_pts(path: Path) -> F64:
    """The points (68,2) of a file, in pixels as FlowFace counts them.

    Raises UserError ``file_missing``, ``too_large``, and ``bad_file`` with the file's name and the line.
    """
    text = read_bounded(path, "landmark", MAX_BYTES).decode("utf-8-sig", "replace")
    try:
        return _parsed(text.splitlines()) - FIRST_PIXEL
    except _Fault as fault:
        where = f"The landmark file {shown(path)}, line {fault.line}"
        hint = "Expected are “version: 1”, “n_points: 68”, “{”, 68 lines “x y” and “}”; get the file anew."
        raise UserError(ErrorCode.BAD_FILE, f"{where}: {fault.reason}.", hint) from fault


def pts_text(points: F64) -> str:
    """A file that ``read_pts`` reads as ``points (68,2)``."""
    told = "".join(f"{x!r} {y!r}\n" for x, y in (np.asarray(points, np.float64) + FIRST_PIXEL).tolist())
    return f"version: 1\nn_points: {POINTS}\n{{\n{told}}}\n"


def _parsed(lines: list[str]) -> F64:
    """The points as the lines have them; raises _Fault."""
    filled = [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    last = filled[-1][0] if filled else 1
    begins = next((n for n, (_, text) in enumerate(filled) if text == "{"), None)
    if begins is None:
        raise _Fault(last, "there is no “{” before the points")
    _check_head(filled[:begins], filled[begins][0])
    ends = next((n for n, (_, text) in enumerate(filled) if text == "}"), None)
    if ends is None or ends < begins:
        raise _Fault(last, "there is no “}” behind the points")
    if ends + 1 < len(filled):
        raise _Fault(filled[ends + 1][0], f"“{filled[ends + 1][1][:40]}” stands behind the closing “}}”")
    inside = filled[begins + 1 : ends]
    points = np.array([_point(number, text) for number, text in inside]).reshape(-1, 2)
    if len(points) != POINTS:
        raise _Fault(filled[ends][0], f"it ends after {len(points)} points, not {POINTS}")
    right, left = OUTER_EYE_CORNERS
    if not np.linalg.norm(points[right] - points[left]) > 0:
        raise _Fault(inside[left][0], "both outer eye corners are at one place")
    return points


def _check_head(head: list[tuple[int, str]], end: int) -> None:
    told = {}
    for number, text in head:
        key, colon, value = (part.strip() for part in text.partition(":"))
        if not colon:
            raise _Fault(number, f"“{text[:40]}” is no “name: value”")
        told[key.lower()] = number, value
    number, version = told.get("version", (end, "1"))
    if version not in ("1", "1.0"):
        raise _Fault(number, f"its version is “{version[:40]}”, not 1")
    number, count = told.get("n_points", (end, "missing"))
    if count != str(POINTS):
        raise _Fault(number, f"n_points is {count[:40] or 'empty'}, not {POINTS}")


def _point(number: int, text: str) -> tuple[float, float]:
    parts = text.split()
    try:
        x, y = (float(part) for part in parts)
    except ValueError as error:
        raise _Fault(number, f"“{text[:40]}” is not a point, two numbers") from error
    if not (math.isfinite(x) and math.isfinite(y) and max(abs(x), abs(y)) <= LARGEST):
        raise _Fault(number, f"“{text[:40]}” is no place in a picture")
    return x, y
