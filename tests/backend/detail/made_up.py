"""Maps of made-up wrinkles: (3,S,S) base, stretch and compression in metres, row 0 the atlas's top."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from backend.detail.types import Wrinkles
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.library import load_head

F32 = NDArray[np.float32]


def waves(side: int, seed: int = 3) -> F32:
    """Three different maps, smooth over a few texels, of a few tenths of a millimetre."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side
    phase = random.uniform(0, 7, (3, 1, 1))
    maps = np.sin(17 * x + phase) * np.cos(23 * y + 2 * phase)
    return (maps * np.array([2e-4, 3e-3, 5e-3])[:, None, None]).astype(np.float32)


def furrows(side: int) -> F32:
    """Furrows across the forehead of the open head, every 9 mm, 5 mm deep for a compression of 1."""
    head = load_head("open")
    texels = AtlasTexels.of(head, side)
    place = texels.on_surface(head, head.template)
    eyes = head.joints(head.template)[3:].mean(axis=0)
    up, out = place[:, 1] - eyes[1], place[:, 2] - eyes[2]
    window = np.clip((up - 0.026) / 0.008, 0, 1) * np.clip((0.075 - up) / 0.012, 0, 1) * (out > -0.02)
    window = window * np.clip((0.055 - np.abs(place[:, 0])) / 0.015, 0, 1)
    skin = head.regions["skin"][head.triangles[texels.triangle]].all(axis=1)
    depth = 5e-3 * np.cos(2 * np.pi * up / 0.009) * window * skin
    empty = np.zeros((side, side), np.float32)
    return np.stack([empty, empty, texels.picture(depth)])


def as_wrinkles(maps: F32) -> Wrinkles:
    """The same, all of it seen."""
    return Wrinkles(maps[0], maps[1], maps[2], np.ones_like(maps[0]))
