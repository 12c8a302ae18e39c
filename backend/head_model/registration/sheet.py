"""The picture of a registration: one checker through the canonical atlas on both heads, and actions side by side."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model import render
from backend.head_model.model import JOINT_NAMES, HeadModel, actions_of, surface_positions

Image = NDArray[np.uint8]

TILE = 420
CELLS = 40
_VIEWS = ((0.0, 0.0, 1.0), (0.7, 0.0, 1.0), (-1.4, 0.0, 1.0), (3.1416, 0.0, 1.0))
_ACTIONS = ("eyeBlinkLeft", "eyeBlinkRight"), ("jawOpen",), ("mouthPucker",), ("mouthSmileLeft", "browInnerUp")


def registration_sheet(head: HeadModel, open_head: HeadModel) -> Image:
    """One RGB picture (H,W,3): the open head above, the other below.

    Checkers from several sides and close up, landmarks, and a few of the 52 actions.

    Raises ``UserError`` ``no_opengl`` where nothing can be drawn.
    """
    texture = checker_texture()
    with render.HeadRenderer((TILE, TILE)) as renderer:
        rows = [_row(one, texture, renderer) for one in (open_head, head)]
        actions = [_actions(one, texture, renderer) for one in (open_head, head)]
    half = len(rows[0]) // 2
    bands = [np.concatenate(part, axis=1) for row in rows for part in (row[:half], row[half:])]
    ordered = [bands[0], bands[2], bands[1], bands[3]]
    ordered += [np.concatenate(tiles, axis=1) for tiles in actions]
    return np.concatenate(ordered).astype(np.uint8)


def checker_texture(side: int = 2048) -> Image:
    """A checker whose colour tells where in the atlas it lies (side,side,3), v upwards; smaller cells inside cells."""
    v, u = np.mgrid[0:side, 0:side] / side
    v = 1 - v
    coarse = (np.floor(u * CELLS) + np.floor(v * CELLS)) % 2
    fine = (np.floor(u * CELLS * 4) + np.floor(v * CELLS * 4)) % 2
    hue = np.stack([0.35 + 0.6 * u, 0.35 + 0.6 * v, 0.9 - 0.5 * u * v], axis=-1)
    shade = 0.55 + 0.45 * coarse - 0.12 * fine
    return np.clip(hue * shade[..., None] * 255, 0, 255).astype(np.uint8)


def _row(head: HeadModel, texture: Image, renderer: render.HeadRenderer) -> list[Image]:
    tiles = [_tile(head, head.template, texture, renderer, yaw, pitch, zoom) for yaw, pitch, zoom in _VIEWS]
    close = [("left_eye", 4.0, 0.0), ("mouth", 3.0, 0.0), ("mouth", 3.0, 0.6)]
    tiles += [_tile(head, head.template, texture, renderer, yaw, 0.0, zoom, at) for at, zoom, yaw in close]
    return [*tiles, _landmarks(head, renderer)]


def _actions(head: HeadModel, texture: Image, renderer: render.HeadRenderer) -> list[Image]:
    names, basis = actions_of(head)
    tiles = []
    for group in _ACTIONS:
        offset = np.sum([basis[names.index(name)] for name in group if name in names], axis=0)
        tiles.append(_tile(head, head.template + offset, texture, renderer, 0.35, 0.0, 1.5))
    return tiles


def _frame(head: HeadModel) -> tuple[NDArray[np.float64], float]:
    joints = head.joints(head.template).astype(np.float64)
    left, right = joints[JOINT_NAMES.index("left_eye")], joints[JOINT_NAMES.index("right_eye")]
    return (left + right) / 2, float(np.linalg.norm(left - right))


def _look(
    head: HeadModel, yaw: float, pitch: float, zoom: float, at: str = "head"
) -> tuple[NDArray[Any], dict[str, Any]]:
    middle, unit = _frame(head)
    if at == "head":
        target = middle + unit * np.array([0, -0.35 - 0.35 / zoom, -0.8 / zoom])
    elif at == "mouth":
        target = head.template[head.regions["lips"]].mean(axis=0).astype(np.float64)
    else:
        target = head.joints(head.template)[JOINT_NAMES.index(at)].astype(np.float64)
    camera = render.look_at_head(16 * unit, yaw, pitch, target.tolist())
    return camera, {
        "focal_px": TILE * 2.9 * zoom,
        "principal_point": (TILE / 2, TILE / 2),
        "world_to_camera": camera,
    }


def _tile(
    head: HeadModel,
    vertices: NDArray[Any],
    texture: Image,
    renderer: render.HeadRenderer,
    yaw: float,
    pitch: float,
    zoom: float,
    at: str = "head",
) -> Image:
    _, lens = _look(head, yaw, pitch, zoom, at)
    return renderer.render(
        vertices, head.triangles, texture=texture, corner_uv=head.uv_vertices[head.uv_triangles], **lens
    )


def _landmarks(head: HeadModel, renderer: render.HeadRenderer) -> Image:
    camera, lens = _look(head, 0.0, 0.0, 1.9)
    image = renderer.render(head.template, head.triangles, None, **lens).copy()
    for name, tone, radius in (("mediapipe478", (40, 220, 60), 1.5), ("ibug68", (250, 60, 40), 3.0)):
        points = surface_positions(head.landmarks[name], head.triangles, head.template.astype(np.float64))
        seen = points @ camera[:, :3].T + camera[:, 3]
        for x, y in seen[:, :2] / seen[:, 2:] * lens["focal_px"] + TILE / 2:
            cv2.circle(image, (round(x * 16), round(y * 16)), int(radius * 16), tone, 1, cv2.LINE_AA, 4)
    return image
