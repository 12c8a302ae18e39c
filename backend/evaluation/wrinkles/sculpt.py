"""Sculpted wrinkles: furrows of known depth in the atlas, and skin whose colour is no depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.detail.types import F32, Wrinkles
from backend.head_model.appearance import Palette, canonical_face, skin_colors
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.model import HeadModel

F64 = NDArray[np.float64]

WIDTH_MM = 1.1
"""σ of a furrow's profile."""
RIDGE = 0.25
"""Of a furrow's depth, how high the skin stands on either side of it."""
TENSE = 0.12
"""Tension of a raised forehead or of frowning brows, at which furrows have their depth."""
MOLES = ((6.0, 40.0, 1.4), (-22.0, 29.0, 1.1), (30.0, -35.0, 1.6), (-36.0, -48.0, 1.2), (3.0, -20.0, 0.9))
"""Painted moles: x, y and radius in millimetres of ``face_coordinates``."""


@dataclass(frozen=True, eq=False)
class Sculpture:
    """Known wrinkles (``seen`` is 1) and places in the atlas (S,S): where they lie on the ``forehead``, where the skin
    is ``smooth`` whatever it does, where painted moles (``moles``) are, and where furrows are that always are."""

    wrinkles: Wrinkles
    forehead: NDArray[np.bool_]
    smooth: NDArray[np.bool_]
    moles: NDArray[np.bool_]
    always: NDArray[np.bool_]


def sculpt(head: HeadModel, side: int) -> Sculpture:
    """Furrows of the forehead and frown lines that come with compression, one that is stretched deep, some for good.

    Depths are 0.3 to 0.55 mm at a tension of ``TENSE``.
    """
    x, y, z = np.moveaxis(places(head, side), -1, 0)
    front = z > -25
    brow_lines = sum(
        _furrow(y - (at - 0.004 * x**2 * lean), np.abs(x) - half, depth)
        for at, half, depth, lean in (
            (27, 24, 0.40, 0.2),
            (34, 30, 0.55, 0.5),
            (41.5, 27, 0.45, 0.7),
            (49, 22, 0.30, 0.8),
        )
    )
    frown = sum(_furrow(np.abs(x) - 6.5 - 0.06 * (y - 14), np.abs(y - 15) - half, 0.45) for half in (8,))
    chin = _furrow(np.abs(x) - 40 - 0.1 * (y + 45), np.abs(y + 45) - 14, 0.35)
    cheek = _furrow(np.abs(x) - 27 - 0.5 * (-35 - y), np.abs(y + 45) - 13, 0.35)
    maps = [np.asarray(1e-3 * own * front, np.float32) for own in (cheek, chin / TENSE, (brow_lines + frown) / TENSE)]
    base, stretch, compression = maps
    none = np.all([np.abs(own) < 1e-6 for own in maps], axis=0)
    forehead = front & (np.abs(x) < 38) & (y > 21) & (y < 55)
    smooth = none & front & (np.abs(x) < 55) & (y > -85) & (y < 55)
    moles = np.any([np.hypot(x - a, y - b) < radius for a, b, radius in MOLES], axis=0) & front
    always = front & (np.abs(cheek) > 0.02)
    return Sculpture(Wrinkles(base, stretch, compression, np.ones_like(base)), forehead, smooth, moles, always)


def skin_picture(head: HeadModel, side: int, seed: int = 3) -> F32:
    """(S,S,3) linear albedo of blotched skin with brows, lips and painted moles."""
    place = places(head, side)
    random = np.random.default_rng(seed)
    blotches = sum(
        share * cv2.resize(random.standard_normal((cells, cells)), (side, side), interpolation=cv2.INTER_CUBIC)
        for cells, share in ((14, 0.04), (50, 0.025), (150, 0.03), (420, 0.025))
    )
    color = skin_colors(place, Palette()) ** 2.2 * np.exp(blotches)[..., None]
    for x, y, radius in MOLES:
        away = np.hypot(place[..., 0] - x, place[..., 1] - y)
        dark = np.clip((radius - away) / 0.4 + 0.5, 0, 1) * (place[..., 2] > -25)
        color *= 1 - dark[..., None] * np.array([0.6, 0.72, 0.78])
    return np.asarray(color, np.float32)


def _furrow(across: F64, beyond: F64, depth: float) -> F64:
    """A groove, in millimetres: ``across`` from its middle line, ``beyond`` its end (negative within)."""
    groove = -np.exp(-(across**2) / (2 * WIDTH_MM**2))
    ridges = RIDGE * np.exp(-((np.abs(across) - 3 * WIDTH_MM) ** 2) / (2 * (1.2 * WIDTH_MM) ** 2))
    profile = np.where(np.abs(across) < 7 * WIDTH_MM, groove + ridges, 0)
    return np.asarray(depth * profile * np.clip(-beyond / 5, 0, 1), np.float64)


def places(head: HeadModel, side: int) -> F64:
    """(S,S,3) ``face_coordinates`` of the texels, millimetres, far behind the head where there is no skin."""
    texels = AtlasTexels.of(head, side)
    face = np.asarray(canonical_face(head), np.float64)
    behind = ~head.regions.get("skin", np.ones(head.vertex_count, bool))
    for name in ("mouth_bag", "eye_sockets"):
        behind |= head.regions.get(name, np.zeros(head.vertex_count, bool))
    face[behind, 2] = -200
    return np.asarray(texels.picture(texels.on_surface(head, face), -200.0), np.float64)
