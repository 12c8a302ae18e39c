"""The landmarks that a take keeps of what its aligner saw, so that they can be looked at beside the head.

A quarter of the points that a fit looks at tells an eye as much, and keeps a take's file small: 120 points of a view
are 480 kB for 500 frames, and 270 kB once compressed (measured on lp_d3: 530 bytes a frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE
from backend.head_model.model import HeadModel, surface_positions
from backend.observations import PointSet, ViewAlignment

KEPT = 120
"""Landmarks that a take keeps."""
STEPS = 16
"""To a pixel: nobody sees finer ones, and they take a third less of the file."""
VAGUE = 2.0
"""Points whose σ is more than this times the median point's are not kept: the fit hardly listens to them, so that what
they are off by says nothing of it (MediaPipe's points on the outline slide over the skin)."""
_MEDIAPIPE = "mediapipe478"
_IRISES = range(468, 478)
_FEATURES = (*IBUG68_FROM_MEDIAPIPE, *_IRISES)
"""Of MediaPipe's points those that an animator looks at first: brows, eyes, irises, nose and lips."""


@dataclass(frozen=True, eq=False)
class ShownLandmarks:
    """N landmarks: ``vertices (N,3)`` int32 of the head and their ``barycentric (N,3)`` float32 weights.

    ``seen`` holds for each view ``(T,N,2)`` float32: where its pinhole camera would see them, pixels; NaN where not.
    """

    vertices: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    seen: tuple[NDArray[np.float32], ...]


def shown_landmarks(
    head: HeadModel, neutral: NDArray[np.floating[Any]], alignments: Sequence[ViewAlignment]
) -> ShownLandmarks:
    """The landmarks to keep of a take of T frames, whose person's neutral is (V,3) metres.

    ``alignments`` are those that were fitted, with undistorted points. The features of MediaPipe's points come first
    where there are those; the rest is spread over the face. No landmarks where no point is seen.
    """
    first = alignments[0]
    points = [found.surface_points(head.landmarks) for found in first.point_sets]
    vertices = np.concatenate([head.triangles[some.triangle] for some in points]).astype(np.int32)
    barycentric = np.concatenate([some.barycentric for some in points]).astype(np.float32)
    where = np.concatenate([surface_positions(some, head.triangles, neutral) for some in points])
    sigma = np.stack([_median_sigma(alignment, first) for alignment in alignments])
    seen = np.isfinite(sigma).any(axis=0)
    if not seen.any():
        return ShownLandmarks(vertices[:0], barycentric[:0], tuple(_places(a, first)[:, :0] for a in alignments))
    usual = np.fmin.reduce(sigma, axis=0)
    clear = np.flatnonzero(seen & (usual <= VAGUE * np.median(usual[seen])))
    wanted = [index for index in _features(first.point_sets) if index in set(clear.tolist())]
    chosen = _spread(where, clear, wanted[:KEPT])
    kept = tuple(_places(alignment, first)[:, chosen] for alignment in alignments)
    return ShownLandmarks(vertices[chosen], barycentric[chosen], kept)


def _features(sets: Sequence[PointSet]) -> list[int]:
    """The features among all points, set after set."""
    before, found = 0, []
    for one in sets:
        if one.id.name == _MEDIAPIPE:
            found += [before + number for number in _FEATURES]
        before += one.mu.shape[1]
    return list(dict.fromkeys(found))


def _median_sigma(alignment: ViewAlignment, first: ViewAlignment) -> NDArray[np.float64]:
    """(N,) each point's median σ in a view in pixels, NaN where it is not seen in it."""
    found = np.full((alignment.frame_count, first.mu.shape[1]), np.nan)
    if alignment.ids == first.ids and alignment.valid.shape == found.shape:
        found = np.where(alignment.valid, alignment.sigma, np.nan)
    out = np.full(found.shape[1], np.nan)
    there = np.isfinite(found).any(axis=0)
    out[there] = np.nanmedian(found[:, there], axis=0)
    return out


def _places(alignment: ViewAlignment, first: ViewAlignment) -> NDArray[np.float32]:
    """(T,N,2) where a view sees the points of the ``first``, NaN where not."""
    if alignment.ids != first.ids or alignment.mu.shape[1] != first.mu.shape[1]:
        return np.full((alignment.frame_count, first.mu.shape[1], 2), np.nan, np.float32)
    rounded = np.round(alignment.mu * STEPS) / np.float32(STEPS)
    return np.where(alignment.valid[..., None], rounded, np.float32(np.nan)).astype(np.float32)


def _spread(where: NDArray[np.floating[Any]], among: NDArray[np.int64], chosen: Sequence[int]) -> NDArray[np.int64]:
    """``chosen`` and as many more of ``among`` as make ``KEPT``, each the farthest from all before; ascending."""
    picked = list(chosen) or [int(among[0])]
    distance = np.full(len(among), np.inf)
    for index in picked:
        distance = np.minimum(distance, np.linalg.norm(where[among] - where[index], axis=1))
    while len(picked) < min(KEPT, len(among)) and distance.max() > 0:
        farthest = int(among[distance.argmax()])
        picked.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(where[among] - where[farthest], axis=1))
    return np.sort(np.array(picked))
