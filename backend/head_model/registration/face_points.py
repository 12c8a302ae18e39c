"""MediaPipe's points on a bare mesh: seen in renders from several sides, lifted onto the surface and averaged.

Both heads of a registration are drawn alike (plain skin, painted eyes), so what MediaPipe gets wrong on bald, browless
heads it gets wrong on both and the difference cancels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model import render
from backend.head_model.appearance import Palette, eye_colors
from backend.head_model.model import BoolArray, IntArray
from backend.head_model.registration.types import FaceMesh, OpenFaceMesh

F64 = NDArray[np.float64]

POINTS = 468
SIZE = 512
REACH_PX = 8
"""The reach from a landmark's pixel to the nearest skin that is taken for it: lid points often hit the eye."""
MIN_VIEWS = 4

RIGHT_CANTHUS, LEFT_CANTHUS, CHIN = 33, 263, 152  # the subject's
_VIEWS = ((0.0, 0.0), (0.12, 0.12), (-0.12, -0.12), (0.35, 0.0), (-0.35, 0.0), (0.55, 0.05), (-0.55, 0.05), (0.0, 0.25))
_VIEW_DISTANCE = 7.5  # in distances of the outer corners of the eyes, which are 9 to 10 cm apart
_FOCAL = 2.25 * SIZE


@dataclass(frozen=True, eq=False)
class BareHead:
    """The mesh that is drawn: vertices (V,3) metres, triangles (F,3), which of them are outer skin, the eyes' masks."""

    vertices: F64
    triangles: IntArray
    skin: BoolArray  # (F,)
    eyes: tuple[BoolArray, ...]  # (V,) each


@dataclass(frozen=True, eq=False)
class FacePoints:
    """MediaPipe's first 468 points on a mesh.

    ``position (468,3)`` metres (NaN where never seen) and ``spread (468,)`` metres, the median distance of the views'
    answers from it.
    """

    position: F64
    spread: F64


def find_face_points(head: BareHead, name: str, face_mesh: OpenFaceMesh) -> FacePoints:
    """MediaPipe's points on ``head``; about 3 s.

    Raises ``UserError`` ``face_not_found`` where it sees no face on ``name``'s renders, ``no_opengl``.
    """
    colors = _colors(head)
    with render.HeadRenderer((SIZE, SIZE)) as renderer, face_mesh() as detector:
        camera = _Camera(renderer, detector, head, colors)
        first = camera.find_frame(FRAMINGS)
        if first is None:
            raise UserError(
                ErrorCode.FACE_NOT_FOUND,
                f"MediaPipe sees no face on renders of the head {name}.",
                "FlowFace expects a whole human head in metres, +y up and looking along +z.",
            )
        canthi = first[[RIGHT_CANTHUS, LEFT_CANTHUS]]
        unit = float(np.linalg.norm(canthi[1] - canthi[0]))
        target = canthi.mean(axis=0) - unit * np.array([0.0, 0.3, 0.2])
        hits = [
            seen
            for yaw, pitch in _VIEWS
            if (seen := camera.look(render.look_at_head(_VIEW_DISTANCE * unit, yaw, pitch, target.tolist()), _FOCAL))
            is not None
        ]
    if len(hits) < MIN_VIEWS:
        raise UserError(
            ErrorCode.FACE_NOT_FOUND,
            f"MediaPipe sees a face on only {len(hits)} of {len(_VIEWS)} renders of the head {name}.",
            "FlowFace expects a whole human head in metres, +y up and looking along +z.",
        )
    return _average(np.stack(hits))


Framings = Sequence[tuple[float, float]]
FirstLook = Callable[[BareHead, Framings], "F64 | None"]
"""MediaPipe's points (468,3) on a mesh of about a head's size that faces +z; None where no framing shows a face."""
FRAMINGS = tuple((span, centre) for span in (1.0, 0.7, 1.5, 0.45) for centre in (0.5, 0.65, 0.35))
"""Spans and centres, in shares of the height from below, that a bust, a head or a face needs."""


@contextmanager
def first_look(face_mesh: OpenFaceMesh) -> Iterator[FirstLook]:
    """Looks for faces on meshes. Raises ``no_opengl``."""
    with render.HeadRenderer((SIZE, SIZE)) as renderer, face_mesh() as detector:
        yield lambda head, framings: _Camera(renderer, detector, head, _colors(head)).find_frame(framings)


def _average(hits: F64) -> FacePoints:
    with np.errstate(all="ignore"):
        middle = _nanmedian(hits)
        distance = np.linalg.norm(hits - middle, axis=2)
        spread = _nanmedian(distance[..., None])[:, 0]
        near = distance <= np.maximum(2 * spread, 0.001)
        total = near.sum(axis=0)
        mean = np.where(near[..., None], np.nan_to_num(hits), 0).sum(axis=0) / total[:, None]
    mean[(~np.isnan(hits[..., 0])).sum(axis=0) < 2] = np.nan
    return FacePoints(mean, spread)


def _nanmedian(values: F64) -> F64:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # points that no view shows are NaN on purpose
        return np.asarray(np.nanmedian(values, axis=0))


class _Camera:
    def __init__(self, renderer: render.HeadRenderer, detector: FaceMesh, head: BareHead, colors: F64) -> None:
        self.renderer, self.detector, self.head, self.colors = renderer, detector, head, colors

    def find_frame(self, framings: Framings) -> F64 | None:
        """The points (468,3) of a first look from the front, at the first of the framings that shows a face."""
        used = self.head.vertices[np.unique(self.head.triangles[self.head.skin])]
        low, high = used.min(axis=0), used.max(axis=0)
        height = float(high[1] - low[1])
        for span, centre in framings:
            target = [(low[0] + high[0]) / 2, low[1] + centre * height, high[2]]
            distance = 3.0 * span * height
            seen = self.look(render.look_at_head(distance, target=target), 3.0 * SIZE / 1.1)
            if seen is not None and not np.isnan(seen[[RIGHT_CANTHUS, LEFT_CANTHUS]]).any():
                return seen
        return None

    def look(self, pose: F64, focal: float) -> F64 | None:
        head = self.head
        lens: dict[str, Any] = {
            "focal_px": focal,
            "principal_point": (SIZE / 2, SIZE / 2),
            "world_to_camera": pose,
        }
        image = self.renderer.render(head.vertices, head.triangles, self.colors, **lens)
        found = self.detector(image)
        if found is None:
            return None
        pixels = found[:POINTS, :2] * SIZE
        if pixels[RIGHT_CANTHUS, 0] > pixels[LEFT_CANTHUS, 0] or pixels[CHIN, 1] < pixels[:, 1].mean():
            return None  # turned upside down
        buffers = self.renderer.surface(head.vertices, head.triangles, **lens)
        return self._lift(pixels, buffers, pose, focal)

    def _lift(self, pixels: F64, buffers: render.SurfaceBuffers, pose: F64, focal: float) -> F64:
        """Surface points (468,3) under pixels (468,2); NaN where no skin is near."""
        is_skin = (buffers.triangle >= 0) & self.head.skin[np.maximum(buffers.triangle, 0)]
        span = np.arange(-REACH_PX, REACH_PX + 1)
        offset = np.stack(np.meshgrid(span, span), axis=-1).reshape(-1, 2)
        cells = np.floor(pixels).astype(int)[:, None] + offset[None]
        inside = ((cells >= 0) & (cells < SIZE)).all(axis=2)
        cells = np.clip(cells, 0, SIZE - 1)
        distance = ((cells + 0.5 - pixels[:, None]) ** 2).sum(axis=2)
        distance = np.where(inside & is_skin[cells[..., 1], cells[..., 0]], distance, np.inf)
        best = distance.argmin(axis=1)
        row = np.arange(len(pixels))
        cell = cells[row, best]
        at = np.where((distance[row, best] <= 0.5)[:, None], pixels, cell + 0.5)
        depth = buffers.depth[cell[:, 1], cell[:, 0]].astype(np.float64)
        depth[~np.isfinite(depth)] = 0
        camera = np.column_stack([(at - SIZE / 2) / focal, np.ones(len(at))]) * depth[:, None]
        points = (camera - pose[:, 3]) @ pose[:, :3]
        points[~np.isfinite(distance[row, best])] = np.nan
        return np.asarray(points)


def _colors(head: BareHead) -> F64:
    palette = Palette()
    colors = np.broadcast_to(np.array(palette.skin), head.vertices.shape).copy()
    skin = np.zeros(len(colors), bool)
    skin[head.triangles[head.skin]] = True
    colors[~skin] = palette.mouth
    for eye in head.eyes:
        colors[eye] = eye_colors(head.vertices[eye] - sphere_centre(head.vertices[eye]), palette)
    return colors


def sphere_centre(points: NDArray[np.floating[Any]]) -> F64:
    """Centre (3,) of the sphere through points (n,3), by least squares."""
    points = np.asarray(points, np.float64)
    system = np.column_stack([2 * points, np.ones(len(points))])
    return np.asarray(np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0][:3])
