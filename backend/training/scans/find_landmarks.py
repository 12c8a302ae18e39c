"""The 44 landmarks of a scan where nobody annotated it: MediaPipe's points on renders, lifted to the surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.head_model import render
from backend.head_model.registration.face_points import FRAMINGS, LEFT_CANTHUS, RIGHT_CANTHUS
from backend.head_model.registration.types import FaceMesh, OpenFaceMesh
from backend.training.scans.landmarks import LandmarkFile, mediapipe_rows
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.views import ScanView, draw_scan, lift

F64 = NDArray[np.float64]

SIDE = 768
_ANGLES = ((0.0, 0.0), (0.15, 0.0), (-0.15, 0.0), (0.0, 0.12), (0.3, 0.0), (-0.3, 0.0))
_LEAST_VIEWS = 3
_SCATTER = 0.03
"""Of the distance between the eyes' outer corners: views whose point lies farther from the median do not count."""


@dataclass(frozen=True, eq=False)
class _Looker:
    mesh: ScanMesh
    renderer: render.HeadRenderer
    detector: FaceMesh

    def look(self, view: ScanView) -> F64 | None:
        """The 468 points (468,3) on the surface, NaN where the ray hits nothing; None without a face."""
        image = draw_scan(self.renderer, self.mesh, view)
        found = self.detector(image)
        if found is None:
            return None
        pixels = found[:468, :2] * SIDE
        if pixels[RIGHT_CANTHUS, 0] > pixels[LEFT_CANTHUS, 0]:
            return None  # upside down
        return lift(self.renderer, self.mesh, view, pixels)


def find_landmarks(mesh: ScanMesh, name: str, face_mesh: OpenFaceMesh) -> LandmarkFile:
    """The 44 on a scan that stands upright (+y) and looks along +z, in its own frame and unit.

    Each is the mean of what some frontal views say; about 2 s. MediaPipe is a start, where the paper has people
    annotate: it is off by a millimetre or two. Raises ``face_not_found``, ``no_opengl``.
    """
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    # the renderer's near and far planes are for metres
    factor = 0.25 / float(high[1] - low[1])
    small = mesh.scaled(factor)
    with render.HeadRenderer((SIDE, SIDE)) as renderer, face_mesh() as detector:
        looker = _Looker(small, renderer, detector)
        first = _first(looker, low * factor, high * factor)
        if first is None:
            raise _no_face(name, "no render")
        canthi = first[[RIGHT_CANTHUS, LEFT_CANTHUS]]
        apart = float(np.linalg.norm(canthi[1] - canthi[0]))
        target = canthi.mean(axis=0) - apart * np.array([0.0, 0.3, 0.2])
        seen = [looker.look(_around(target, apart, yaw, pitch)) for yaw, pitch in _ANGLES]
    hits = [points[mediapipe_rows()] for points in seen if points is not None]
    if len(hits) < _LEAST_VIEWS:
        raise _no_face(name, f"only {len(hits)} of {len(_ANGLES)} renders")
    return LandmarkFile(_agreed(np.stack(hits), _SCATTER * apart) / factor, by="mediapipe")


def _first(looker: _Looker, low: F64, high: F64) -> F64 | None:
    height = float(high[1] - low[1])
    for span, centre in FRAMINGS:
        target = np.array([(low[0] + high[0]) / 2, low[1] + centre * height, high[2]])
        found = looker.look(ScanView.towards(target, 3.0 * span * height, 3.0 * SIDE / 1.1, SIDE))
        if found is not None and np.isfinite(found[[RIGHT_CANTHUS, LEFT_CANTHUS]]).all():
            return found
    return None


def _around(target: F64, apart: float, yaw: float, pitch: float) -> ScanView:
    return ScanView.towards(target, 7.5 * apart, 2.25 * SIDE, SIDE, yaw, pitch)


def _agreed(hits: NDArray[Any], near: float) -> F64:
    """Mean (44,3) of the views' points (n,44,3) that lie ``near`` their median; NaN where fewer than two do."""
    filled = np.where(np.isfinite(hits), hits, np.nan)
    missing = np.isnan(filled).all(axis=(0, 2))
    middle = np.nanmedian(np.where(missing[None, :, None], 0.0, filled), axis=0)
    good = np.linalg.norm(np.nan_to_num(filled, nan=np.inf) - middle, axis=2) < near
    total = np.where(good[..., None], np.nan_to_num(filled), 0).sum(axis=0)
    count = good.sum(axis=0)[:, None]
    return np.asarray(np.where((count >= 2) & ~missing[:, None], total / np.maximum(count, 1), np.nan))


def _no_face(name: str, where: str) -> UserError:
    return UserError(
        ErrorCode.FACE_NOT_FOUND,
        f"MediaPipe sees a face on {where} of the scan {name}.",
        "It must stand upright (+y) and look along +z; or annotate its landmarks by hand.",
    )
