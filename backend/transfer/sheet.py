"""The contact sheet of a transfer: each action on the open head and beside it on the target, to judge by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model import render
from backend.head_model.appearance import default_colors
from backend.head_model.model import HeadModel, actions_of
from backend.transfer.types import F64, Triangles

TILE = (150, 180)
PAIRS = 6  # beside each other
FACE_HEIGHT = 0.235  # metres of a head that a tile shows
CENTRE = (0.0, -0.03, 0.0)
BEHIND = -0.08  # metres: what lies farther behind the eyes is not seen from the front, and not drawn
YAW = 0.4  # radians: lips and lids show their depth, and both sides are seen

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Drawn:
    """A head as the sheet draws it: vertices (V,3) in head space, triangles, colours (V,3), deltas (V,3) by action."""

    vertices: F64
    triangles: Triangles
    colors: NDArray[np.float32]
    deltas: Mapping[str, NDArray[Any]]


def open_drawn(open_head: HeadModel) -> Drawn:
    """The open head as the sheet shows it beside the target."""
    names, basis = actions_of(open_head)
    return Drawn(
        open_head.template.astype(np.float64),
        open_head.triangles,
        default_colors(open_head),
        dict(zip(names, basis, strict=True)),
    )


def transfer_sheet(
    open_head: Drawn, target: Drawn, names: Sequence[str], on_progress: Callable[[float], None] = lambda _share: None
) -> Image:
    """One RGB picture (H,W,3): neutral and every action at 1, the open head left and the target right of each pair.

    mouthClose is shown with jawOpen, which by ARKit's definition it undoes. Raises ``UserError`` ``no_opengl``.
    """
    with render.HeadRenderer(TILE) as renderer:
        pairs: list[Image] = []
        for name in ("", *names):
            on_progress(len(pairs) / (len(names) + 1))
            pairs.append(_pair(renderer, open_head, target, name))
    pairs += [np.full_like(pairs[0], 32)] * (-len(pairs) % PAIRS)
    return np.concatenate([np.concatenate(pairs[n : n + PAIRS], axis=1) for n in range(0, len(pairs), PAIRS)])


def _pair(renderer: render.HeadRenderer, open_head: Drawn, target: Drawn, name: str) -> Image:
    pair = np.concatenate([_tile(renderer, head, name) for head in (open_head, target)], axis=1)
    text = f"{name} + jawOpen" if name == "mouthClose" else name or "neutral"
    for tone, thick in (((20, 20, 20), 2), ((255, 255, 255), 1)):
        cv2.putText(pair, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, tone, thick, cv2.LINE_AA)
    pair[:, :1] = 32
    return pair


def _tile(renderer: render.HeadRenderer, head: Drawn, name: str) -> Image:
    posed = head.vertices
    for part in (name, "jawOpen") if name == "mouthClose" else (name,):
        if part:
            posed = posed + head.deltas[part]
    width, height = renderer.size
    distance = 1.2
    return renderer.render(
        posed,
        head.triangles,
        head.colors,
        drawn=(head.vertices[head.triangles, 2] > BEHIND).any(axis=1),
        focal_px=height / FACE_HEIGHT * distance,
        principal_point=(width / 2, height / 2),
        world_to_camera=render.look_at_head(distance, YAW, 0.0, CENTRE),
    )
