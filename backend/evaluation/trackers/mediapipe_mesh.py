"""Baselines in the same run: MediaPipe's own face mesh as a tracker, as the free Blender add-ons use it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, label

from backend.alignment.landmarks import plain_mesh
from backend.errors import ErrorCode, UserError
from backend.evaluation.store import MEASURING
from backend.evaluation.trackers.flowface import open_clip
from backend.evaluation.types import MeshSequence
from backend.footage import prefetch

SMOOTHING_SIGMA = 1.0
"""Frames. The paper smooths its baselines with "a simple temporal Gaussian filter" of unnamed width; one frame takes
out half of white jitter and leaves a blink of 8 frames nine tenths of its depth."""

FOCAL_IN_SIDES = 20.0
"""The pseudo camera's focal length in longer image sides: long enough that a point's depth hardly shifts it sideways
in space, short enough that single precision still resolves depth."""

OUTER_CANTHI = (33, 263)
CANTHI_DISTANCE = 0.09
"""Metres between the outer eye corners: only gives MediaPipe's scaleless mesh a handy size."""

RIGHT_PUPIL, LEFT_PUPIL = 468, 473
MESH_POINTS = 478
SEED_TRIANGLE = (4, 44, 1)
"""Counter-clockwise as seen: above the nose's tip, its right side (left in the image), its tip."""


@lru_cache
def tesselation() -> NDArray[np.int32]:
    """MediaPipe's canonical triangulation (852,3) of its 468 points, counter-clockwise seen from outside."""
    connections = plain_mesh.tesselation()
    neighbours: dict[int, set[int]] = defaultdict(set)
    for a, b in connections:
        neighbours[a].add(b)
        neighbours[b].add(a)
    found = {tuple(sorted((a, b, c))) for a, b in connections for c in neighbours[a] & neighbours[b]}
    uses = Counter(edge for triangle in found for edge in _edges(triangle))
    # Three edges may also surround a fan of triangles: such a ring's edges are all used once too often.
    faces = [triangle for triangle in found if any(uses[edge] < 3 for edge in _edges(triangle))]
    return np.array(_wound_alike(faces), np.int32)


def _edges(triangle: tuple[int, ...]) -> list[tuple[int, int]]:
    a, b, c = triangle
    return [(min(p), max(p)) for p in ((a, b), (b, c), (c, a))]


def _wound_alike(faces: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The triangles turned so that neighbours run through their common edge in opposite directions."""
    around: dict[tuple[int, int], list[tuple[int, ...]]] = defaultdict(list)
    for face in faces:
        for edge in _edges(face):
            around[edge].append(face)
    turned = {tuple(sorted(SEED_TRIANGLE)): SEED_TRIANGLE}
    waiting = list(turned)
    while waiting:
        face = waiting.pop()
        for a, b in pairwise((*turned[face], turned[face][0])):
            for other in around[min(a, b), max(a, b)]:
                if other not in turned:
                    (third,) = set(other) - {a, b}
                    turned[other] = (b, a, third)
                    waiting.append(other)
    return sorted(turned.values())


@dataclass(frozen=True)
class MediaPipeMesh:
    """MediaPipe's FaceMesh as it comes: its tracking mode for sequences, its still mode for single images.

    ``smoothing`` is the width in frames of a Gaussian over time, for sequences; 0 leaves the mesh as it is.
    """

    smoothing: float = 0.0
    metrical = False
    without: tuple[str, ...] = ("ears",)
    made_by = MEASURING

    @property
    def name(self) -> str:
        return "mediapipe-mesh+gaussian" if self.smoothing else "mediapipe-mesh"

    @property
    def single_image(self) -> bool:
        return not self.smoothing

    def track(self, clip: Path, *, single_image: bool) -> MeshSequence:
        """The mesh in every frame; see ``Tracker``. Its last ten vertices are the irises, which no triangle uses."""
        footage = open_clip(clip)
        info = footage.info
        points = _face_mesh_points(prefetch(footage), single_image=single_image)
        tracked = np.isfinite(points[:, 0, 0])
        if not tracked.any():
            raise UserError(ErrorCode.NO_FACE, f"MediaPipe's face mesh finds no face in {clip}.")
        if self.smoothing and not single_image:
            points = smoothed(points, tracked, self.smoothing)
        size = np.array([info.width, info.height, info.width], np.float64)  # its z is in units of the image's width
        return pseudo_perspective(points * size, tracked, (info.width, info.height), info.frame_rate)

    def pupils(self, mesh: MeshSequence) -> NDArray[np.float64]:
        """(T,2,2) pixels: the subject's right and left pupil."""
        return mesh.image_positions()[:, (RIGHT_PUPIL, LEFT_PUPIL)]

    def outline(self, mesh: MeshSequence) -> None:
        """None; see ``Tracker``."""


def _face_mesh_points(frames: Any, *, single_image: bool) -> NDArray[np.float64]:
    """(T,478,3) in units of the image's sides; NaN where no face is found."""
    with plain_mesh.PlainFaceMesh(still=single_image) as network:
        points = [network(frame.image) for frame in frames]
    unseen = np.full((MESH_POINTS, 3), np.nan)
    return np.array([unseen if seen is None else seen for seen in points]).reshape(-1, MESH_POINTS, 3)


def smoothed(points: NDArray[np.float64], tracked: NDArray[np.bool_], sigma: float) -> NDArray[np.float64]:
    """Points (T,N,3) under a Gaussian over ``sigma`` frames; frames not tracked neither give nor get.

    Each run of tracked frames is filtered alone, continued beyond its ends by its own reflection through the end point,
    so that steady motion is not held back there.
    """
    result = np.full(points.shape, np.nan)
    numbered, count = label(tracked)
    for run in range(1, count + 1):
        frames = np.flatnonzero(numbered == run)
        reach = min(len(frames) - 1, math.ceil(4 * sigma))
        padded = np.pad(points[frames], ((reach, reach), (0, 0), (0, 0)), mode="reflect", reflect_type="odd")
        result[frames] = gaussian_filter1d(padded, sigma, axis=0, mode="nearest")[reach : reach + len(frames)]
    return result


def pseudo_perspective(
    points: NDArray[np.float64], tracked: NDArray[np.bool_], image_size: tuple[int, int], frame_rate: float
) -> MeshSequence:
    """Points (T,478,3) in pixels, z away from the camera, as a mesh whose projection is exactly their x and y."""
    from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE

    focal = FOCAL_IN_SIDES * max(image_size)
    centre = np.array(image_size, np.float64) / 2
    eyes = points[tracked][:, OUTER_CANTHI[0]] - points[tracked][:, OUTER_CANTHI[1]]
    metres_per_pixel = CANTHI_DISTANCE / float(np.median(np.linalg.norm(eyes, axis=-1)))
    depth = metres_per_pixel * (focal + points[..., 2:])
    vertices = np.concatenate([(points[..., :2] - centre) / focal * depth, depth], axis=-1)
    return MeshSequence(
        vertices=vertices.astype(np.float32),
        triangles=tesselation(),
        focal_px=np.full(len(points), focal),
        principal_point=centre,
        image_size=image_size,
        frame_rate=frame_rate,
        tracked=tracked,
        landmarks68=at_vertices(np.array(IBUG68_FROM_MEDIAPIPE), tesselation()),
    )


def at_vertices(
    vertices: NDArray[np.integer[Any]], triangles: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Vertices (N,) as surface points: a triangle (N,) that has each one, and its barycentric weights (N,3)."""
    corner = triangles[None] == np.asarray(vertices)[:, None, None]
    if not corner.any(axis=(1, 2)).all():
        raise ValueError("a vertex belongs to no triangle")
    triangle = corner.any(axis=2).argmax(axis=1).astype(np.int32)
    weights = corner[np.arange(len(vertices)), triangle].astype(np.float32)
    return triangle, weights
