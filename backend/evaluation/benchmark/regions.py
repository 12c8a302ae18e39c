"""The regions of the ICT head (eyes, nose, mouth and ears), measured on its template."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.benchmark.head import EYES, BenchmarkHead

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]

_OUTER_LIP_TOP = (48, 49, 50, 51, 52, 53, 54)
_OUTER_LIP_BOTTOM = (48, 59, 58, 57, 56, 55, 54)
_BRIDGE, _NOSTRILS = 27, (31, 35)
_NOSE_BASE, _LOWER_LIP = 33, 57
_EYE_POINTS = (tuple(range(42, 48)), tuple(range(36, 42)))  # left, right

_EYE_MARGIN = np.array([0.9, 0.85])  # cm of lid skin around the contour, which keeps clear of the brows
_MOUTH_MARGIN = np.array([0.9, 0.9])
_EAR_BOX = ((6.6, 9.5), (-2.5, 4.1), (-3.2, 1.9))  # |x|, y, z in cm on the template


def region_masks(ict: BenchmarkHead) -> dict[str, Bool]:
    """Vertex masks (V,) of the regions that measures are reported for; the eyes take the eyeballs in."""
    points = ict.template.astype(np.float64) * 100
    marks = ict.marks * 100
    skin = ict.groups["face"]
    eyeballs = ict.groups[EYES[0]] | ict.groups[EYES[1]]
    eyes = np.zeros(len(points), bool)
    for contour in _EYE_POINTS:
        eyes |= _in_ellipse(points, marks[list(contour)], _EYE_MARGIN)
    front = points[:, 2] > 8.0
    ears = skin & ~ict.narrow_face
    for axis, (low, high) in enumerate(_EAR_BOX):
        value = np.abs(points[:, 0]) if axis == 0 else points[:, axis]
        ears &= (value > low) & (value < high)
    return {
        "face": ict.narrow_face | eyeballs,
        "eyes": (eyes & ict.narrow_face & (points[:, 2] > 7.0)) | eyeballs,
        "nose": ict.narrow_face & (points[:, 2] > 9.2) & _in_nose(points, marks),
        "mouth": ict.narrow_face & front & _in_ellipse(points, marks[48:60], _MOUTH_MARGIN),
        "ears": ears,
    }


def cheek_mask(
    neutral: NDArray[np.floating[Any]], marks: NDArray[np.floating[Any]], regions: Mapping[str, Bool]
) -> Bool:
    """The cheeks' vertices (V,) of a person: the face beside nose and mouth, from the eyes down to the lower lip.

    ``neutral (V,3)`` and its iBUG-68 points ``marks (68,3)`` in head space; ``regions`` are those of ``region_masks``.
    """
    low, high = marks[_LOWER_LIP, 1], marks[[*_EYE_POINTS[0], *_EYE_POINTS[1]], 1].mean()
    beside = np.abs(neutral[:, 0] - marks[_NOSE_BASE, 0]) > np.abs(marks[_NOSTRILS[1], 0] - marks[_NOSTRILS[0], 0]) / 2
    other = regions["eyes"] | regions["nose"] | regions["mouth"]
    inside = (neutral[:, 1] > low) & (neutral[:, 1] < high)
    return np.asarray(regions["face"] & ~other & inside & beside)


def lip_mask(ict: BenchmarkHead) -> Bool:
    """The lips' vertices (V,): the red of both lips, as far as it shows on a closed or an open mouth."""
    return ict.narrow_face & (lip_depth_cm(ict, ict.template) > 0)


def lip_depth_cm(ict: BenchmarkHead, points: NDArray[np.floating[Any]]) -> F64:
    """Depth in cm of points (…,3) on the template, metres, inside the lips seen from the front; negative outside."""
    marks = ict.marks * 100
    x, y, z = (points[..., axis].astype(np.float64) * 100 for axis in range(3))
    top, bottom = marks[list(_OUTER_LIP_TOP)], marks[list(_OUTER_LIP_BOTTOM)]
    upper = np.interp(x, top[:, 0], top[:, 1])
    lower = np.interp(x, bottom[:, 0], bottom[:, 1])
    depth = np.minimum(upper - y, y - lower)
    outside = (x < top[0, 0]) | (x > top[-1, 0]) | (z < 8.5)
    return np.where(outside, -np.maximum(np.abs(depth), 0.3), depth)


def _in_ellipse(points: F64, contour: F64, margin: F64) -> Bool:
    low, high = contour[:, :2].min(axis=0), contour[:, :2].max(axis=0)
    offset = (points[:, :2] - (low + high) / 2) / ((high - low) / 2 + margin)
    return np.asarray((offset**2).sum(axis=1) < 1)


def _in_nose(points: F64, marks: F64) -> Bool:
    top, bottom = marks[_BRIDGE, 1], marks[_NOSTRILS[0], 1] - 0.25
    along = np.clip((top - points[:, 1]) / (top - bottom), 0, 1)
    half_width = np.interp(along, (0.0, 0.45, 0.75, 1.0), (0.75, 1.15, 1.95, 1.75))
    inside = (points[:, 1] < top) & (points[:, 1] > bottom) & (np.abs(points[:, 0]) < half_width)
    return np.asarray(inside)
