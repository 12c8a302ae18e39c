"""Painted brow hair: dark strands in and about the brows, which slide over the tracked skin as the brows move.

A fitted head's mesh follows brows only so far, so that their hair lies elsewhere in each picture's atlas; brows thicker
than the head's painted ones lie on skin that is looked at. It has no depth: what is found there is wrong.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.detail.types import F32
from backend.evaluation.wrinkles.sculpt import places
from backend.head_model.appearance import brow_outline
from backend.head_model.model import HeadModel
from backend.track.types import Track

STRANDS = 170
"""On either side."""
BEYOND_MM = 4.0
"""How far above and below the painted brow they grow."""
HALF_MM = 0.2
"""Half a strand's width: hairs lie together."""
COLOR = (0.035, 0.025, 0.02)
"""Linear."""
SLIDE_MM = (1.5, -0.7)
"""How far they lie lower than on the tracked skin when brows frown and when they rise: twice and once what skin was
seen to slide by on footage, root mean square."""
JITTER_MM = 0.3
NEAR_MM = 1.0
"""σ of what counts as beside a strand."""


def brow_hair(head: HeadModel, side: int, seed: int = 7) -> F32:
    """(S,S) how far a strand covers each texel, 0…1."""
    place = places(head, side)
    random = np.random.default_rng(seed)
    along, middle, half = brow_outline(64)
    near = (place[..., 2] > -20) & (np.abs(place[..., 0]) < 66) & (place[..., 1] > 0) & (place[..., 1] < 40)
    points = place[near][:, :2]
    cover = np.zeros(len(points))
    for left in (1, -1):
        x = random.uniform(along[0] - 3, along[-1] - 4, STRANDS)
        reach = np.interp(x, along, half) + BEYOND_MM
        y = np.interp(x, along, middle) + reach * np.clip(random.normal(0, 0.5, STRANDS), -1, 1)
        angle = np.radians(random.normal(np.interp(x, (8, 20, 50), (65, 25, -15)), 14))
        length = random.uniform(4, 8, STRANDS)
        for root, way, size in zip(
            np.column_stack([left * x, y]), np.column_stack([left * np.cos(angle), np.sin(angle)]), length, strict=True
        ):
            off = points - root
            on = np.clip(off @ way, 0, size)
            away = np.linalg.norm(off - on[:, None] * way, axis=1)
            cover = np.maximum(cover, np.clip((HALF_MM - away) / 0.3 + 0.5, 0, 1) * (1 - 0.5 * on / size))
    whole = np.zeros((side, side), np.float32)
    whole[near] = cover
    return whole


def beside_hair(hair: F32, texel_mm: float) -> NDArray[np.bool_]:
    """(S,S) where hair is or comes to."""
    return np.asarray(cv2.GaussianBlur(hair, (0, 0), NEAR_MM / texel_mm) > 0.05)


def hair_slides(track: Track, names: tuple[str, ...], seed: int = 11) -> NDArray[np.float64]:
    """(T,2) millimetres to the right and down by which hair lies off the tracked skin, given the expressions' names."""
    frowned, raised = (
        np.max([track.expression[:, at] for at, name in enumerate(names) if name.startswith(of)], axis=0)
        for of in ("browDown", "browInnerUp")
    )
    slides = np.random.default_rng(seed).normal(0, JITTER_MM, (len(track.frames), 2))
    slides[:, 1] += SLIDE_MM[0] * frowned + SLIDE_MM[1] * raised
    return slides
