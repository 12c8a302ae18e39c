"""A clip's contact sheet of marks: the footage, and beside it where the tracker has each mark and where the head."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.evaluation.marks.follow import HORIZONS, FollowedMarks
from backend.evaluation.trackers.flowface import open_clip
from backend.files import write_atomic

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]

TILE = 400
CAPTION = 20
STARTS = 2
"""Key frames that are shown, those of which the most marks last."""
_MARGIN = 2.2  # a tile's side in inter-ocular distances
_SEEN, _HEAD = (60, 230, 60), (250, 60, 40)  # RGB
_TENTHS = 4  # OpenCV's binary digits behind the point


def marks_sheet(path: Path, clip: Path, followed: FollowedMarks, there: F64) -> None:
    """Write the sheet as PNG: for key frames with many marks a column for the frame itself and for each horizon.

    ``there (K,T,2)`` is where the head has the marks (red crosses); green rings are where they are in the footage.
    Nothing is written where there is no mark.
    """
    firsts, count = np.unique(followed.start, return_counts=True)
    chosen = sorted(firsts[np.argsort(-count, kind="stable")[:STARTS]].tolist())
    wanted = [(first, first + h) for first in chosen for h in (0, *HORIZONS) if first + h < followed.seen.shape[1]]
    if not wanted:
        return
    shown = {frame for _, frame in wanted}
    pictures = {n: frame.image for n, frame in enumerate(open_clip(clip)) if n in shown}
    tiles = [_tiles(pictures[frame], followed, there, first, frame) for first, frame in wanted]
    sheet = np.concatenate(tiles, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes(), public=True)


def _tiles(picture: Image, followed: FollowedMarks, there: F64, first: int, frame: int) -> Image:
    unit = float(followed.unit)
    mine = followed.start == first
    seen, head = followed.seen[mine, frame], there[mine, frame]
    known = np.isfinite(seen[:, 0])
    middle = np.mean(seen[known], axis=0) if known.any() else np.array(picture.shape[1::-1]) / 2
    zoom = TILE / (_MARGIN * unit)
    affine = np.array([[zoom, 0, TILE / 2 - zoom * middle[0]], [0, zoom, TILE / 2 - zoom * middle[1]]])
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    plain = np.asarray(cv2.warpAffine(picture, affine, (TILE, TILE), flags=flags, borderValue=(32, 32, 32)), np.uint8)
    drawn = plain.copy()
    for has, at in zip(seen[known], head[known], strict=True):
        cv2.circle(drawn, _place(has, affine), 5 << _TENTHS, _SEEN, 1, cv2.LINE_AA, _TENTHS)
        if np.isfinite(at[0]):
            x, y = _place(at, affine)
            arm = 4 << _TENTHS
            cv2.line(drawn, (x - arm, y), (x + arm, y), _HEAD, 1, cv2.LINE_AA, _TENTHS)
            cv2.line(drawn, (x, y - arm), (x, y + arm), _HEAD, 1, cv2.LINE_AA, _TENTHS)
    away = np.linalg.norm(head - seen, axis=1)[known] / unit * 100
    off = f"{np.nanmedian(away):.2f} %" if np.isfinite(away).any() else "-"
    words = f"frame {frame + 1}: {int(known.sum())} marks, {frame - first} after, {off}"
    strip = np.full((CAPTION, TILE, 3), 32, np.uint8)
    cv2.putText(strip, words, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return np.concatenate([strip, plain, drawn])


def _place(point: F64, affine: F64) -> tuple[int, int]:
    x, y = (affine[:, :2] @ (point - 0.5) + affine[:, 2]) * (1 << _TENTHS)
    return round(float(x)), round(float(y))
