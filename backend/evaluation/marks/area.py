"""Where on a face in footage marks are looked for: skin away from landmarks, by region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.evaluation.trackers.mediapipe_mesh import tesselation
from backend.head_model.model import HeadModel, surface_positions

F64 = NDArray[np.float64]

MARK_REGIONS = ("forehead", "eyes", "nose", "cheeks", "mouth", "chin")
"""The regions of marks by their labels, which begin with 1."""
AWAY = 0.008
"""Metres on the template: skin nearer to a line of iBUG-68's points is the landmarks' own."""
_LINES = (
    (17, 22, False),
    (22, 27, False),
    (27, 31, False),
    (31, 36, False),
    (36, 42, True),
    (42, 48, True),
    (48, 60, True),
    (60, 68, True),
)
"""iBUG-68's lines within the face: first point, behind the last, closed."""
_BETWEEN = 5
RIM = 0.08
"""Inter-ocular distances from the face's outline within which skin slips out of sight."""
MESH_POINTS = 468


@dataclass(frozen=True, eq=False)
class MarkArea:
    """MediaPipe's triangles (F,3), and the label of each (F,): 1 + its index in ``MARK_REGIONS``, 0 at landmarks."""

    triangles: NDArray[np.int32]
    labels: NDArray[np.uint8]

    @classmethod
    def of(cls, head: HeadModel) -> MarkArea:
        """By where MediaPipe's points lie on a head's template."""
        points = surface_positions(head.landmarks["mediapipe478"], head.triangles, head.template)[:MESH_POINTS]
        own = surface_positions(head.landmarks["ibug68"], head.triangles, head.template)
        triangles = tesselation()
        middle = points[triangles].mean(axis=1)
        corners = head.triangles[head.landmarks["mediapipe478"].triangle[:MESH_POINTS]]

        def inside(region: str) -> NDArray[np.bool_]:
            at = head.regions[region][corners].mean(axis=1) > 0.5
            return np.asarray(at[triangles].mean(axis=1) > 0.5)

        brows, corners_of_mouth = own[17:27, 1].mean(), own[[48, 54], 1].mean()
        labels = np.full(len(triangles), 1 + MARK_REGIONS.index("cheeks"), np.uint8)
        below = (middle[:, 1] < corners_of_mouth) & (np.abs(middle[:, 0]) < np.abs(own[[48, 54], 0]).mean())
        for region, at in (
            ("forehead", middle[:, 1] > brows),
            ("chin", below),
            ("mouth", inside("mouth")),
            ("eyes", inside("eyes")),
            ("nose", inside("nose")),
        ):
            labels[at] = 1 + MARK_REGIONS.index(region)
        near = np.linalg.norm(middle[:, None] - _along(own)[None], axis=2).min(axis=1) < AWAY
        labels[near | inside("lips") | inside("lids")] = 0
        return cls(triangles, labels)

    def drawn(self, points: F64, size: tuple[int, int], unit: float) -> NDArray[np.uint8]:
        """Labels (H,W) of a picture of ``size`` (width, height) in which MediaPipe's points (468+,2) lie, pixels.

        0 also where the face turns away and near its outline. ``unit`` is the inter-ocular distance in pixels.
        """
        corners = points[self.triangles]
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        shown = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0] < 0  # counter-clockwise from outside, y down
        picture, face = (np.zeros((size[1], size[0]), np.uint8) for _ in range(2))
        for corner, label in zip(np.round(corners[shown] - 0.5).astype(np.int32), self.labels[shown], strict=True):
            cv2.fillConvexPoly(face, corner, 1)
            cv2.fillConvexPoly(picture, corner, int(label))
        away = cv2.distanceTransform(_filled(face), cv2.DIST_L2, 3)
        picture[away < RIM * unit] = 0
        return picture


def _along(points: NDArray[np.floating[Any]]) -> F64:
    """(n,3) points along iBUG-68's lines (68,3)."""
    share = np.linspace(0, 1, _BETWEEN)[:, None, None]
    parts = []
    for first, behind, closed in _LINES:
        line = points[first:behind]
        to = np.roll(line, -1, axis=0)
        both = line, to
        if not closed:
            both = line[:-1], to[:-1]
        parts.append((both[0] + share * (both[1] - both[0])).reshape(-1, 3))
    return np.concatenate(parts)


def _filled(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The face without holes at eyes and mouth: its outline is the outer one."""
    outlines, _ = cv2.findContours(face, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(face), outlines, -1, 1, cv2.FILLED), np.uint8)
