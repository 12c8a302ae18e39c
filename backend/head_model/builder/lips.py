"""Lips that meet: actions that do not part them leave no gap, and mouthClose closes what jawOpen opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.head_model.builder.actions import mirrored, swapped_side, symmetric
from backend.head_model.rims import Rim, places, walk_rim

F64 = NDArray[np.float64]

RINGS = (0, 1, 2, 3)
"""Rings about the mouth on which lips can touch, from the cavity's border outwards."""
FADE = 0.010  # metres from a lip's rim within which a correction of it fades
CORNER = 0.06  # share of the way between the corners of the mouth within which it fades too
ROUNDS = 4  # a correction's neighbours in the ring also move

CLOSED = (
    "mouthSmileLeft", "mouthDimpleLeft", "mouthStretchLeft", "mouthFrownLeft", "mouthPressLeft", "mouthLeft",
    "jawLeft", "cheekPuff", "mouthPucker",
)  # fmt: skip
"""Actions, or the left one of two, that leave the lips together. On scans their corners come apart by up to 1 mm."""


@dataclass(frozen=True, eq=False)
class Lips:
    """The rim of a mouth in ``template (V,3)``, and how far each vertex goes with the upper and the lower lip, (V,)."""

    rim: Rim
    template: F64
    upper: F64
    lower: F64
    across: F64  # (V,) share of the way from the right corner to the left one

    def gaps(self, vertices: F64) -> F64:
        """How far the upper lip is above the lower one, metres, in ``COLUMNS`` from corner to corner."""
        gaps = np.full(len(COLUMNS), np.inf)
        for number in RINGS:
            ring = self.rim.at(number)
            along = places(self.template[ring])
            order = np.argsort(along)
            height = np.append(vertices[ring, 1][order], vertices[ring[order[0]], 1])
            along = np.append(along[order], 2.0)
            gaps = np.minimum(gaps, np.interp(COLUMNS, along, height) - np.interp(2 - COLUMNS, along, height))
        return gaps

    def lift(self, amount: F64, lip: F64) -> F64:
        """Offsets upwards (V,) of a lip by ``amount`` metres in each of ``COLUMNS``."""
        faded = amount * np.clip(np.minimum(COLUMNS, 1 - COLUMNS) / CORNER, 0, 1)
        return np.asarray(lip * np.interp(self.across, COLUMNS, faded))


COLUMNS = np.linspace(0, 1, 41)


def find_lips(
    triangles: NDArray[np.int32], regions: Mapping[str, NDArray[np.bool_]], template: F64, jaw_open: F64
) -> Lips:
    """The lips of a head (V,3); the lower one is what an opening jaw, offsets (V,3), takes along."""
    skin = regions["skin"]
    rim = walk_rim(triangles, skin & ~regions["mouth_bag"] & ~regions["eye_sockets"], regions["mouth_bag"], len(RINGS))
    ring = rim.at(1)
    along = places(template[ring])
    above, below = ring[along <= 1], ring[along > 1]
    share = np.clip(-jaw_open[:, 1] / np.median(-jaw_open[below, 1]), 0, 1)
    order = np.argsort(along[along <= 1])
    across = np.interp(template[:, 0], template[above[order], 0], along[along <= 1][order])
    upper, lower = (1 - share) * _near(template, above), share * _near(template, below)
    return Lips(rim, template, np.where(skin, upper, 0), np.where(skin, lower, 0), across)


def _near(template: F64, rim: NDArray[np.int64]) -> F64:
    """How near (V,) the vertices are to a rim, 1 on it."""
    distance, _ = cKDTree(template[rim]).query(template)
    return np.asarray(np.exp(-((distance / FADE) ** 2)))


def meet_lips(basis: F64, names: tuple[str, ...], mirror: NDArray[np.int64], lips: Lips) -> F64:
    """The expression basis (E,V,3) whose lips meet as in the neutral face, column by column between the corners.

    Gaps are closed by both lips in ``CLOSED`` actions, and in both lip rolls together. Where a full jawOpen is closed
    by mouthClose, scanned lips press into each other: there the lower one is moved up or down.
    """
    changed = basis.copy()
    rows = {name: n for n, name in enumerate(names)}
    neutral = lips.gaps(lips.template)
    for _ in range(ROUNDS):
        for name in CLOSED:
            excess = np.maximum(lips.gaps(lips.template + changed[rows[name]]) - neutral, 0)
            changed[rows[name], :, 1] += lips.lift(-excess / 2, lips.upper) + lips.lift(excess / 2, lips.lower)
        both = changed[rows["mouthRollUpper"]] + changed[rows["mouthRollLower"]]
        excess = np.maximum(lips.gaps(lips.template + both) - neutral, 0)
        changed[rows["mouthRollUpper"], :, 1] += lips.lift(-excess / 2, lips.upper)
        changed[rows["mouthRollLower"], :, 1] += lips.lift(excess / 2, lips.lower)
        closed = changed[rows["jawOpen"]] + changed[rows["mouthClose"]]
        changed[rows["mouthClose"], :, 1] += lips.lift(lips.gaps(lips.template + closed) - neutral, lips.lower)
    for name in CLOSED:
        changed[rows[swapped_side(name)]] = mirrored(changed[rows[name]], mirror)
    return symmetric(changed, names, mirror)
