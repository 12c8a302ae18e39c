"""The 52 actions on another head: the open head's, carried by the same map of space that carries its surface.

A point x that an action moves to x + d goes, on the other head, from Φ(x) to Φ(x + d). Since Φ is one map for lids,
lips and eyeballs alike, lids that meet on the open head meet on the other, and slide over its eyes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model import render
from backend.head_model.model import BoolArray, HeadModel, IntArray, actions_of
from backend.head_model.registration.correspondence import Correspondence
from backend.head_model.registration.parts import EYEBALLS, Parts
from backend.head_model.registration.warp import SpaceWarp

F64 = NDArray[np.float64]

NEAR, FAR = 0.010, 0.022
"""Metres: offsets up to the first are carried by the map itself; longer ones, such as a wide open jaw's, leave the
surface's neighbourhood, where the map means nothing, and from the second on only turn and scale with the face."""

_LID_SIZE = (360, 180)
_LID_MM_PER_PX = 0.15
_EYE_DISTANCE = 2.0  # metres: nearly orthographic, and near enough for the depth buffer to tell lid from eye


def carry_actions(
    open_head: HeadModel,
    parts: Parts,
    match: Correspondence,
    on_progress: Callable[[float], None] = lambda _: None,
) -> dict[str, F64]:
    """Offsets (V,3) by ARKit name, metres at strength 1, of the open head's actions on a head that matches it."""
    moved = warped_actions(open_head, match, lambda share: on_progress(0.9 * share))
    still = parts["left_eyeball"] | parts["right_eyeball"]
    carried = {}
    for name, offsets in moved.items():
        values = match.carried(offsets, open_head) * match.weight[:, None]
        values[still] = 0  # gaze turns them about their joints
        carried[name] = values
    on_progress(1.0)
    return carried


def warped_actions(
    open_head: HeadModel, match: Correspondence, on_progress: Callable[[float], None] = lambda _: None
) -> dict[str, F64]:
    """Offsets (V0,3) by ARKit name, metres at strength 1, of the open head as it is bent onto another."""
    names, basis = actions_of(open_head)
    home = open_head.template.astype(np.float64)
    face = linear_part(home[open_head.regions["face"]], match.bent[open_head.regions["face"]])
    moved = {}
    placed = match.warp(home)
    for n, (name, offsets) in enumerate(zip(names, basis.astype(np.float64), strict=True)):
        moved[name] = _moved(match.warp, face, home, placed, offsets)
        on_progress((n + 1) / (len(names) + 1))
    # mouthClose undoes jawOpen at the lips: carried alone it would go from the closed mouth up through the nose
    closed = basis[names.index("jawOpen")].astype(np.float64) + basis[names.index("mouthClose")]
    moved["mouthClose"] = _moved(match.warp, face, home, placed, closed) - moved["jawOpen"]
    return moved


def linear_part(home: F64, bent: F64) -> F64:
    """The linear map (3,3) that takes offsets about ``home (n,3)`` to those about ``bent (n,3)`` best."""
    return np.asarray(np.linalg.lstsq(home - home.mean(axis=0), bent - bent.mean(axis=0), rcond=None)[0].T)


def _moved(warp: SpaceWarp, face: F64, home: F64, placed: F64, offsets: F64) -> F64:
    """Offsets (V0,3) after the map ``warp``, or its linear part ``face (3,3)`` where they are long.

    ``placed (V0,3)`` is where the map takes ``home (V0,3)``.
    """
    length = np.linalg.norm(offsets, axis=1)
    out = offsets @ face.T
    out[length <= 1e-6] = 0
    near = np.flatnonzero((length > 1e-6) & (length < FAR))
    share = np.clip((length[near] - NEAR) / (FAR - NEAR), 0, 1)[:, None]
    share = share * share * (3 - 2 * share)
    out[near] = (1 - share) * (warp(home[near] + offsets[near]) - placed[near]) + share * out[near]
    return np.asarray(out)


def lid_gap_mm(
    vertices: NDArray[np.floating[Any]], triangles: IntArray, parts: Parts, blink: NDArray[np.floating[Any]]
) -> float:
    """The height of eyeball that still shows with both eyes shut, mm; NaN without eyeballs.

    The larger of both eyes' median height over the middle half of the lid opening. ``blink (V,3)`` closes both eyes.

    Raises ``UserError`` ``no_opengl``.
    """
    gaps = []
    for name in EYEBALLS:
        ball = parts[name]
        if not ball.any():
            continue
        with render.HeadRenderer(_LID_SIZE) as renderer:
            opened = _visible(renderer, np.asarray(vertices), triangles, ball).sum(axis=0)
            shut = _visible(renderer, np.asarray(vertices) + blink, triangles, ball).sum(axis=0)
        columns = np.flatnonzero(opened >= 3)
        quarter = len(columns) // 4
        middle = columns[quarter : len(columns) - quarter]
        gaps.append(float(np.median(shut[middle])) * _LID_MM_PER_PX if len(middle) else float("nan"))
    return max(gaps) if gaps else float("nan")


def _visible(renderer: render.HeadRenderer, vertices: NDArray[Any], triangles: IntArray, ball: BoolArray) -> BoolArray:
    """The pixels of a front view centred on an eyeball that show it, (180,360), 0.15 mm a pixel."""
    seen = renderer.surface(
        vertices,
        triangles,
        focal_px=_EYE_DISTANCE * 1000 / _LID_MM_PER_PX,
        principal_point=(_LID_SIZE[0] / 2, _LID_SIZE[1] / 2),
        world_to_camera=render.look_at_head(_EYE_DISTANCE, target=vertices[ball].mean(axis=0).tolist()),
    ).triangle
    of_ball = ball[triangles].all(axis=1)
    return np.asarray((seen >= 0) & of_ball[np.maximum(seen, 0)])
