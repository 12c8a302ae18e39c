"""The contact sheet of a clip: footage, overlay and drawn head, at the frames where the face does the most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.evaluation.seen.performance import Performance, Portrait
from backend.evaluation.trackers.flowface import open_clip
from backend.files import write_atomic
from backend.footage import FootageFrame
from backend.overlay.draw import OverlayPainter, OverlayTake

Image = NDArray[np.uint8]

TILE = 250
CAPTION = 34
_MARGIN = 1.7  # a tile's side over the longer side of the face's box


@dataclass(frozen=True)
class Extreme:
    """A frame worth looking at: why, its index, and what was measured there."""

    words: str
    frame: int
    told: str


def clip_sheet(path: Path, performance: Performance, clip: Path, extremes: Sequence[Extreme]) -> None:
    """Write the sheet as PNG: a column for each extreme, captioned with what was measured.

    Raises UserError ``no_opengl``, and OSError where nothing can be written.
    """
    if not extremes:
        return
    footage = open_clip(clip)
    wanted = {extreme.frame for extreme in extremes}
    shown = {index: frame for index, frame in enumerate(footage) if index in wanted}
    painter = OverlayPainter(_take(performance, shown), footage.info)
    columns = []
    with Portrait(performance) as portrait:
        for extreme in extremes:
            frame = shown[extreme.frame]
            window = _window(performance, extreme.frame)
            tiles = (
                _tile(frame.image, window),
                _tile(painter.draw(frame), window, painter.scale),
                _tile(portrait.picture(extreme.frame), window),
            )
            columns.append(np.concatenate([_caption(extreme), *tiles]))
    sheet = np.concatenate(columns, axis=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))[1].tobytes(), public=True)


def _take(performance: Performance, shown: dict[int, FootageFrame]) -> OverlayTake:
    mesh, head = performance.mesh, performance.head
    frames = sorted(shown)

    def vertices_at(index: int) -> NDArray[np.float64]:
        vertices = mesh.vertices[frames[index]].astype(np.float64)
        seen = vertices[:, :2] / vertices[:, 2:] * mesh.focal_px[frames[index]] + mesh.principal_point
        return np.column_stack([seen, vertices[:, 2]])

    drawn = head.regions["skin"] | head.regions["left_eyeball"] | head.regions["right_eyeball"]
    return OverlayTake(
        numbers=np.array([shown[frame].number for frame in frames]),
        vertices_at=vertices_at,
        triangles=mesh.triangles[drawn[mesh.triangles].all(axis=1)],
        landmarks=None,
        tracked=np.ones(len(frames), bool),
        error_percent_iod=np.full(len(frames), np.nan, np.float32),
    )


def _window(performance: Performance, frame: int) -> tuple[float, float, float]:
    """Centre and side in pixels of what a tile shows."""
    points = performance.points(frame)
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    return float(x), float(y), _MARGIN * float((high - low).max())


def _tile(image: Image, window: tuple[float, float, float], scale: float = 1.0) -> Image:
    x, y, side = (scale * value for value in window)
    zoom = TILE / side
    affine = np.array([[zoom, 0, TILE / 2 - zoom * x], [0, zoom, TILE / 2 - zoom * y]])
    flags = cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.warpAffine(image, affine, (TILE, TILE), flags=flags, borderValue=(32, 32, 32)), np.uint8)


def _caption(extreme: Extreme) -> Image:
    strip = np.full((CAPTION, TILE, 3), 32, np.uint8)
    for row, text in enumerate((f"{extreme.words}, frame {extreme.frame + 1}", extreme.told)):
        cv2.putText(strip, text, (5, 14 + 15 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (235, 235, 235), 1, cv2.LINE_AA)
    return strip
