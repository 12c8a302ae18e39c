"""One picture of a head laid out in its atlas, and how much each texel of it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.cameras.distortion import distort
from backend.head_model.model import HeadModel
from backend.head_model.posed import PosedHead
from backend.head_model.rasterise import rasterise
from backend.head_model.render import vertex_normals
from backend.texture.skin_atlas import SkinAtlas, on_neck
from backend.texture.types import F32, F64, Picture

GRAZING = 0.2
"""Cosine between normal and line of sight (78°) below which a texel is not taken: there it may be background."""
GRAZING_NECK = 0.4
"""The same (66°) on the neck, which was fitted to nothing."""
RASTER = 280
"""Samples of the z-buffer across the head, a millimetre each."""
SILHOUETTE_M = (0.003, 0.010)
"""From the head's outline in the picture: nothing is taken nearer than the first, all from the second on."""
OPENING_M = (0.0006, 0.0016)
"""The same from eyes and the inside of the mouth."""
BEHIND_M = 0.012
"""Metres by which something within ``NEAR_M`` must be nearer to hide a texel, or come close to it."""
NEAR_M = 0.003
MARGIN = 8  # samples about the head


@dataclass(frozen=True, eq=False)
class Observation:
    """``color (S,S,3)`` sRGB of the picture and ``weight (S,S)`` 0…1 how much it is worth, 0 where nothing is seen."""

    color: Picture
    weight: F32


def observe(head: HeadModel, atlas: SkinAtlas, picture: Picture, face: PosedHead) -> Observation:
    """A picture (H,W,3) of a posed head in the head's atlas."""
    vertices = np.asarray(face.vertices, np.float64)
    if not (vertices[:, 2] > 0).all():
        blank = np.zeros((atlas.side, atlas.side), np.float32)
        return Observation(np.zeros((*blank.shape, 3), np.uint8), blank)
    ideal = face.project(vertices)
    shown = ideal if face.lens is None else distort(ideal, face.lens)
    reduced, scale = _reduced(picture, shown, atlas)
    real = np.nan_to_num(shown, nan=-1e4)
    places = atlas.picture(real * scale - 0.5)
    color = cv2.remap(reduced, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    weight = _weight(head, atlas.half, face, (picture.shape[1], picture.shape[0]), ideal, real)
    weight = cv2.resize(weight, atlas.outer.shape, interpolation=cv2.INTER_LINEAR) * atlas.outer
    return Observation(np.asarray(color, np.uint8), np.asarray(weight, np.float32))


def _reduced(picture: Picture, pixels: F64, atlas: SkinAtlas) -> tuple[Picture, float]:
    """The picture no finer than the atlas is on the face, so that none of it is left out; and by how much smaller.

    ``pixels (V,2)`` are where the head's vertices are, NaN beyond what the lens shows.
    """
    shown = pixels[np.isfinite(pixels).all(axis=1)]
    across = np.ptp(shown, axis=0).max() if len(shown) else 0.0
    scale = min(1.0, 0.8 * atlas.side / max(across, 1.0))
    if scale > 0.75:
        return picture, 1.0
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _weight(head: HeadModel, atlas: SkinAtlas, face: PosedHead, size: tuple[int, int], ideal: F64, real: F64) -> F32:
    """(S,S) how much each texel of a head whose vertices lie at pixels ``ideal`` and ``real (V,2)`` is worth."""
    vertices = np.asarray(face.vertices, np.float64)
    normals = vertex_normals(vertices, head.triangles)
    length = np.linalg.norm(vertices, axis=1) * np.linalg.norm(normals, axis=1)
    facing = -np.einsum("vc,vc->v", normals, vertices) / np.maximum(length, 1e-12)
    inside = (real > 1).all(axis=1) & (real < np.array(size) - 1).all(axis=1)
    least = np.where(on_neck(head), GRAZING_NECK, GRAZING)
    worth = np.where(inside, (facing - least) / (1 - least), -1.0)
    values = atlas.picture(np.column_stack([ideal, vertices[:, 2], worth]))
    weight = np.clip(values[..., 3], 0, 1)
    return np.asarray(weight * weight * _in_sight(head, atlas, face, ideal, values), np.float32)


def _in_sight(head: HeadModel, atlas: SkinAtlas, face: PosedHead, ideal: F64, values: F32) -> F32:
    """(S,S) 1 where a texel is in full sight, 0 where it is hidden or next to what is no skin.

    ``values (S,S,…)`` are each texel's ideal pixel (2) and depth.
    """
    vertices = np.asarray(face.vertices, np.float64)
    low, high = ideal.min(axis=0), ideal.max(axis=0)
    step = RASTER / (high - low).max()  # samples per pixel
    corner = low - MARGIN / step
    raster = rasterise(
        vertices,
        head.triangles,
        focal_px=face.focal_px * step,
        principal_point=(np.array(face.principal_point) - corner) * step,
        image_size=tuple(np.ceil((high - low) * step).astype(int) + 2 * MARGIN),
    )
    corners = vertices[:, 2][head.triangles[raster.triangle]]
    far = float(vertices[:, 2].max())
    distance = np.where(raster.covered, np.einsum("hwk,hwk->hw", raster.barycentric, corners), far).astype(np.float32)
    skin = raster.covered & atlas.outer_triangles[raster.triangle]
    per_metre = face.focal_px * step / float(np.median(vertices[:, 2]))
    near = cv2.erode(distance, _disk(NEAR_M * per_metre))
    clear = _ramp(raster.covered, SILHOUETTE_M, per_metre) * _ramp(skin | ~raster.covered, OPENING_M, per_metre)
    places = ((values[..., :2] - corner) * step - 0.5).astype(np.float32)
    there = cv2.remap(cv2.merge([near, clear]), places, None, cv2.INTER_LINEAR, borderValue=(0.0, 0.0))
    return np.asarray(there[..., 1] * (values[..., 2] < there[..., 0] + BEHIND_M), np.float32)


def _ramp(mask: NDArray[np.bool_], reach: tuple[float, float], per_metre: float) -> F32:
    """0 outside a mask and up to the first of ``reach`` (metres) within, 1 from the second on."""
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    begin, end = (length * per_metre for length in reach)
    return np.asarray(np.clip((distance - begin) / (end - begin), 0, 1), np.float32)


def _disk(radius: float) -> NDArray[np.uint8]:
    size = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
