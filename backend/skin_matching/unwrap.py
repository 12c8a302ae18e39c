"""A view's picture laid out in the canonical atlas, as the fitted head says: there all views look almost alike."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import distort
from backend.head_model.atlas_texels import AtlasTexels, cosine_of_sight, sample
from backend.head_model.dense_points import outside
from backend.head_model.model import HeadModel
from backend.head_model.posed import PosedHead
from backend.head_model.render import vertex_normals

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]

GRAZING = 0.25
"""Cosine between normal and line of sight below which skin is too foreshortened to be compared (75°)."""
IN_FRONT = 0.008
"""Metres by which something must lie nearer to hide a texel: a nose stands out further from its cheek, and within a
cell of ``CELL`` texels no visible skin is as deep."""
CELL = 3.0
CONTRAST = 1 / 64
"""Of the atlas's side: the width over which brightness and contrast are evened out. Cameras differ in exposure, and
light differs with the angle; skin's own marks are finer."""
NOISE = 3.0
"""Grey levels: contrast below which there is nothing but noise to be seen."""


@dataclass(frozen=True, eq=False)
class Unwrapped:
    """A picture in the atlas: ``grey (S,S)`` uint8 with its contrast evened out; ``facing (S,S)`` the cosine between
    normal and line of sight where skin is seen, 0 elsewhere; ``position (S,S,2)`` each texel's ideal pixel."""

    grey: NDArray[np.uint8]
    facing: F32
    position: F32


@lru_cache(maxsize=4)
def face_texels(head: HeadModel, side: int) -> AtlasTexels:
    """The texels of the outer skin of face and ears."""
    skin = outside(head)
    if "skin" in head.regions:
        skin &= head.regions["skin"]
    return AtlasTexels.of(head, side, np.asarray(skin[head.triangles].all(axis=1)))


def unwrap(head: HeadModel, side: int, grey: NDArray[np.uint8], face: PosedHead) -> Unwrapped:
    """The grey picture (H,W) of a posed head in an atlas of ``side`` texels."""
    texels = face_texels(head, side)
    points = texels.on_surface(head, face.vertices)
    normals = texels.on_surface(head, vertex_normals(face.vertices, head.triangles))
    facing = cosine_of_sight(points, normals)
    ideal = face.project(points)
    real = ideal if face.lens is None else np.nan_to_num(distort(ideal, face.lens), nan=-1.0)
    height, width = grey.shape
    seen = (
        (facing > GRAZING)
        & (points[:, 2] > 0)
        & (real >= 1).all(axis=1)
        & (real <= (width - 1, height - 1)).all(axis=1)
    )
    seen &= _in_front(ideal, points[:, 2], pixels_per_texel(texels, ideal))
    shades = sample(grey, real)
    mask = texels.picture(seen)
    return Unwrapped(_evened(texels.picture(shades), mask), texels.picture(facing * seen), texels.picture(ideal))


def pixels_per_texel(texels: AtlasTexels, pixels: F64) -> float:
    """Median length in the picture of a step of one texel to the right."""
    following = np.flatnonzero((np.diff(texels.columns) == 1) & (np.diff(texels.rows) == 0))
    return float(np.median(np.linalg.norm(pixels[following + 1] - pixels[following], axis=1)))


def _in_front(pixels: F64, depth: F64, step: float) -> NDArray[np.bool_]:
    """(n,) whether no other texel hides a texel, by the nearest of those that fall into its cell of the picture."""
    cell = np.floor(pixels / max(CELL * step, 1e-6)).astype(np.int64)
    cell -= cell.min(axis=0)
    index = cell[:, 1] * (cell[:, 0].max() + 1) + cell[:, 0]
    _, index = np.unique(index, return_inverse=True)
    nearest = np.full(index.max() + 1, np.inf)
    np.minimum.at(nearest, index, depth)
    return np.asarray(depth < nearest[index] + IN_FRONT)


def _evened(shades: F32, mask: F32) -> NDArray[np.uint8]:
    """Brightness in units of its own local deviation, grey where nothing is seen."""
    width = len(shades) * CONTRAST
    share = np.maximum(cv2.GaussianBlur(mask, (0, 0), width), 1e-6)
    off = (shades - cv2.GaussianBlur(shades * mask, (0, 0), width) / share) * mask
    deviation = np.sqrt(cv2.GaussianBlur(off * off, (0, 0), width) / share + NOISE**2)
    return np.clip(128 + 40 * off / deviation, 0, 255).astype(np.uint8)
