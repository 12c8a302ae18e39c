"""Which keypoints of a take of one view are followed, and in how fine an atlas."""

from __future__ import annotations

import numpy as np

from backend.fitting import FitResult, View
from backend.head_model.atlas_texels import sample
from backend.head_model.dense_points import spread_vertices
from backend.head_model.model import HeadModel, SurfacePoints
from backend.skin_matching.follow import FACING, spread_frames
from backend.skin_matching.keypoints import Keypoints, skin_keypoints
from backend.skin_matching.lay_out import STEP, TakeLayout

SIDES = (256, 512)
"""Of the atlas, texels."""
COARSE = 2.0
"""Pixels from texel to texel. On benchmark heads (1.3) 512 lowers SSME by 5 % talking, by nothing turning, and costs
twice as much."""
SELDOM = 0.15
"""Of the frames: keypoints that fewer show are left out."""
MOST = 600
"""Keypoints: every frame pays for each in the fit."""
MOST_SIGHTINGS, FEWEST_OF_LONG = 6_000_000, 100
"""Keypoints times frames, about 240 bytes each while they are solved: takes of more than 10,000 frames have fewer."""


def side_for(head: HeadModel, fit: FitResult, view: View) -> int:
    """The coarser of ``SIDES`` unless its texels are larger than ``COARSE`` pixels."""
    frames = spread_frames(view.alignment.tells_pose)
    step = np.median([at.step for at in TakeLayout(head, SIDES[0]).places(fit, frames)])
    return SIDES[0] if step <= COARSE else SIDES[1]


def choose_keypoints(layout: TakeLayout, fit: FitResult, view: View, wanted: int) -> Keypoints:
    """Keypoints of which a frame shows about ``wanted`` in the mean."""
    head = layout.head
    every = skin_keypoints(head)
    frames = spread_frames(view.alignment.tells_pose)
    facing = np.stack([sample(at.facing, every.nu * layout.side / STEP) for at in layout.places(fit, frames)])
    shown = facing > FACING
    often = shown.mean(axis=0) >= SELDOM
    count = round(wanted * often.sum() / max(shown[:, often].sum(axis=1).mean(), 1))
    affordable = max(FEWEST_OF_LONG, MOST_SIGHTINGS // len(fit.expression))
    kept = spread_vertices(head, every.vertex[often], min(count, MOST, affordable))
    at = np.isin(every.vertex, kept)
    points = SurfacePoints(every.points.triangle[at], every.points.barycentric[at])
    return Keypoints(every.vertex[at], points, every.nu[at])
