"""The fitted head's wireframe and the aligner's points drawn on the footage: a video, or a picture of a still."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage import Footage, FootageFrame, FootageInfo, prefetch
from backend.footage.encode import Picture, encode
from backend.overlay.wireframe import _edges, diagonals, visible_edges

Colour = tuple[int, int, int]

WIRE: Colour = (70, 230, 255)
BRIDGED: Colour = (255, 90, 70)  # where no face was found and the wireframe is a bridge
POINT: Colour = (255, 210, 60)
_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates
_LEAST_SIDE = 480  # px; smaller pictures are enlarged so that wires and points can be told apart


@dataclass(frozen=True, eq=False)
class OverlayTake:
    """The things to draw on T frames.

    ``vertices_at(t)`` gives (V,3): image position in pixels (as in DESIGN §3) and distance in front of the camera in
    metres. ``triangles (F,3)`` are counter-clockwise seen from outside; a part of the head will do.
    ``landmarks (T,N,2)`` are the aligner's points in pixels, NaN where it saw no face.
    ``error_percent_iod (T,)`` may be NaN.
    """

    numbers: NDArray[np.int64]  # (T,) footage frame numbers
    vertices_at: Callable[[int], NDArray[np.floating[Any]]]
    triangles: NDArray[np.int32]
    landmarks: NDArray[np.float32] | None
    tracked: NDArray[np.bool_]  # (T,)
    error_percent_iod: NDArray[np.float32]  # (T,)


def write_overlay(
    path: Path,
    footage: Footage,
    *takes: OverlayTake,
    on_progress: Callable[[int, int], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
) -> Path:
    """Draw a take, or each of several faces, on its footage; returns the file written: ``path`` with the suffix .mp4,
    or .png for a still.

    The video keeps the footage's frame times. The file appears only when it is complete. Raises UserError
    ``output_unwritable``, what reading the footage raises, and ``Cancelled``.
    """
    info = footage.info
    target = path.with_suffix(".png" if info.kind == "still" else ".mp4")
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    painter = OverlayPainter(takes[0], info, takes[1:])

    def pictures(frames: Iterator[FootageFrame]) -> Iterator[tuple[FootageFrame, Picture]]:
        for done, frame in enumerate(frames, start=1):
            if should_cancel is not None and should_cancel():
                raise Cancelled
            yield frame, painter.draw(frame)
            if on_progress is not None:
                on_progress(done, footage.total)

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with closing(prefetch(footage)) as frames:
            if info.kind == "still":
                for _, picture in pictures(frames):
                    part.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
            else:
                encode(part, pictures(frames), info)
        part.replace(target)
    except (OSError, FFmpegError) as error:
        raise UserError(
            ErrorCode.OUTPUT_UNWRITABLE, f"The overlay {target} cannot be written: {error.strerror or error}.", ""
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return target


class OverlayPainter:
    """Draws single frames of a take, enlarged where the footage is small (``scale`` times).

    ``others`` are its further heads.
    """

    def __init__(self, take: OverlayTake, info: FootageInfo, others: Sequence[OverlayTake] = ()) -> None:
        self._others = [OverlayPainter(other, info) for other in others]
        self._take = take
        self._index = {int(number): t for t, number in enumerate(take.numbers)}
        self.scale = max(1, -(-_LEAST_SIDE // min(info.width, info.height)))
        self._edges, self._edge_triangles = _edges(take.triangles)
        self._outline: NDArray[np.bool_] | None = None  # (E,) without the quads' diagonals

    def draw(self, frame: FootageFrame) -> Picture:
        """The frame, enlarged where it is small, padded to even sides, with everything drawn on it."""
        picture = frame.image
        if self.scale > 1:
            size = picture.shape[1] * self.scale, picture.shape[0] * self.scale
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        height, width = picture.shape[:2]
        picture = np.asarray(
            cv2.copyMakeBorder(picture, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE), np.uint8
        ).copy()
        for row, painter in enumerate((self, *self._others)):
            painter._draw_head(picture, frame.number, row, f"head {row + 1}  " if self._others else "")
        return picture

    def _draw_head(self, picture: Picture, number: int, row: int, name: str) -> None:
        """One head, and what there is to say of it in a row of its own."""
        t = self._index.get(number)
        if t is None:
            _write(picture, f"{number}  {name}not tracked", BRIDGED, row)
            return
        tracked = bool(self._take.tracked[t])
        self._wireframe(picture, t, WIRE if tracked else BRIDGED)
        if self._take.landmarks is not None and tracked and np.isfinite(self._take.landmarks[t]).all():
            self._points(picture, self._take.landmarks[t])
        if tracked:
            error = self._take.error_percent_iod[t]
            text = f"{number}  {name}" + (f"{error:.2f} % IOD" if np.isfinite(error) else "")
            _write(picture, text.rstrip(), (255, 255, 255), row)
        else:
            _write(picture, f"{number}  {name}no face: bridged", BRIDGED, row)

    def _wireframe(self, picture: Picture, t: int, colour: Colour) -> None:
        vertices = np.asarray(self._take.vertices_at(t), np.float64) * (self.scale, self.scale, 1)
        if self._outline is None:
            self._outline = ~diagonals(vertices, self._take.triangles, self._edges)
        shown = visible_edges(vertices, self._take.triangles, self._edges, self._edge_triangles) & self._outline
        lines = vertices[self._edges[shown], :2]
        height, width = picture.shape[:2]
        inside = ((lines > -width - height) & (lines < 2 * (width + height))).all(axis=(1, 2))
        lines = lines[inside]
        if not len(lines):
            return
        left, top = np.clip(np.floor(lines.min(axis=(0, 1))) - 2, 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(lines.max(axis=(0, 1))) + 3, 0, (width, height)).astype(int)
        if right <= left or bottom <= top:
            return
        # Where lines crowd, each gets lighter, or a small face would drown in them.
        spacing = float(np.median(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=1)))
        alpha = float(np.clip(spacing / 9, 0.25, 0.75))
        part = picture[top:bottom, left:right]
        drawn = part.copy()
        cv2.polylines(drawn, list(_fixed(lines - (left, top))), False, colour, 1, cv2.LINE_AA, _SHIFT)
        picture[top:bottom, left:right] = cv2.addWeighted(drawn, alpha, part, 1 - alpha, 0)

    def _points(self, picture: Picture, points: NDArray[np.float32]) -> None:
        height, width = picture.shape[:2]
        size = float(np.ptp(points, axis=0).max()) * self.scale
        radius = round(float(np.clip(size / 260, 0.7, 3)) * (1 << _SHIFT))
        for x, y in _fixed(np.asarray(points, np.float64) * self.scale):
            if -8 << _SHIFT < x < (width + 8) << _SHIFT and -8 << _SHIFT < y < (height + 8) << _SHIFT:
                cv2.circle(picture, (int(x), int(y)), radius, POINT, -1, cv2.LINE_AA, _SHIFT)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    """Corner-based pixels as OpenCV's fixed-point drawing coordinates, which count from pixel centres."""
    return np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _write(picture: Picture, text: str, colour: Colour, row: int = 0) -> None:
    size = float(np.clip(min(picture.shape[:2]) / 900, 0.45, 1.6))
    place = round(14 * size + 4), round((30 + 34 * row) * size + 4)
    for ink, thickness in (((0, 0, 0), 4), (colour, 1)):
        weight = max(1, round(thickness * size * 1.2))
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, ink, weight, cv2.LINE_AA)
