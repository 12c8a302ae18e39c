"""Colours for drawing a head: skin, brows, lips, eyes, teeth; human enough for a face detector to find it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.library import load_head
from backend.head_model.model import JOINT_NAMES, HeadModel

Color = tuple[float, float, float]

EYE_DISTANCE_MM = 60.2
"""Distance between the eyeballs' centres of the face the outlines below are drawn on, in mm from their midpoint."""

REGISTERED = "registered_to"
"""The key of ``HeadModel.provenance`` that heads in the open head's atlas have."""

_EYES = (("left_eyeball", "left_eye"), ("right_eyeball", "right_eye"))
_LIP_X = (0.0, 5.0, 12.0, 20.0, 25.5)
_LIP_UPPER = (-63.0, -61.5, -64.5, -69.0, -71.3)
_LIP_LOWER = (-84.5, -84.0, -80.5, -75.5, -71.3)
# Where the landmark network sees brows on renders of fitted heads as high as on the neutral photographs (45 of training
# people, ``python -m backend.point_calibration`` reads the same) that they were fitted to, within 0.6 % of the
# inter-ocular distance; their inner ends lie 3 mm below where a mean MakeHuman face would have them.
_BROW_X = (10.0, 20.0, 32.0, 42.0, 52.0)
_BROW_Y = (12.0, 16.8, 20.5, 19.9, 13.7)
_BROW_HALF = (4.2, 4.0, 3.4, 2.6, 1.2)


@dataclass(frozen=True)
class Palette:
    """sRGB colours in 0…1 of one person."""

    skin: Color = (0.80, 0.61, 0.51)
    blush: Color = (0.80, 0.50, 0.43)
    lips: Color = (0.68, 0.36, 0.34)
    brows: Color = (0.24, 0.16, 0.12)
    lashes: Color = (0.17, 0.11, 0.09)
    scalp: Color = (0.62, 0.47, 0.40)
    sclera: Color = (0.93, 0.91, 0.89)
    iris: Color = (0.33, 0.25, 0.17)
    limbus: Color = (0.14, 0.11, 0.09)
    pupil: Color = (0.02, 0.02, 0.02)
    teeth: Color = (0.90, 0.87, 0.80)
    tongue: Color = (0.72, 0.40, 0.38)
    mouth: Color = (0.36, 0.15, 0.14)


def default_colors(head: HeadModel, palette: Palette | None = None) -> NDArray[np.float32]:
    """sRGB colours (V,3) in 0…1 of each vertex of a head."""
    palette = palette or Palette()
    if REGISTERED in head.provenance:
        texture = paint_texture(head, 1024, palette)
        column, row = np.clip(np.floor(head.uv.T * len(texture)), 0, len(texture) - 1).astype(int)
        return (texture[len(texture) - 1 - row, column] / 255).astype(np.float32)
    colors = skin_colors(face_coordinates(head, head.template), palette)
    masks = head.regions
    for name, color in _part_colors(palette):
        if name in masks:
            colors[masks[name]] = color
    for part, joint in _EYES:
        if part in masks and masks[part].any():
            around = head.template[masks[part]] - head.joints(head.template)[JOINT_NAMES.index(joint)]
            colors[masks[part]] = eye_colors(around, palette)
    return colors.astype(np.float32)


def paint_texture(head: HeadModel, side: int = 1024, palette: Palette | None = None) -> NDArray[np.uint8]:
    """The same colours as a picture (side,side,3) on the head's atlas, finer than its vertices; v upwards.

    A head that was registered to the open head gets the open head's picture: brows and lips lie at the same place of
    the atlas, whatever the proportions of the face.
    Raises ``UserError`` ``no_opengl`` where nothing can be drawn.
    """
    palette = palette or Palette()
    if REGISTERED in head.provenance:
        head = load_head("open")
    texels = AtlasTexels.drawn(head, side)
    triangle, points = texels.triangle, texels.on_surface(head, head.template)
    colors = skin_colors(face_coordinates(head, points), palette)
    for name, color in _part_colors(palette):
        if name in head.regions:
            colors[head.regions[name][head.triangles].any(axis=1)[triangle]] = color
    for part, joint in _EYES:
        if part in head.regions:
            inside = head.regions[part][head.triangles].all(axis=1)[triangle]
            centre = head.joints(head.template)[JOINT_NAMES.index(joint)]
            colors[inside] = eye_colors(points[inside] - centre, palette)
    covered = np.zeros((side, side), bool)
    covered[texels.rows, texels.columns] = True
    return _bleed(texels.picture(colors), covered)


def _bleed(image: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture with the nearest colour spread over the empty texels, so that filtering finds no black at seams."""
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return np.clip(image[rows, columns] * 255 + 0.5, 0, 255).astype(np.uint8)


def _part_colors(palette: Palette) -> tuple[tuple[str, Color], ...]:
    return (
        ("mouth_bag", palette.mouth),
        ("eye_sockets", palette.blush),
        ("teeth", palette.teeth),
        ("tongue", palette.tongue),
        ("gums", palette.tongue),
        ("lashes", palette.lashes),
    )


def face_coordinates(head: HeadModel, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Points (…,3) on the template in millimetres from the eyes' midpoint, scaled to ``EYE_DISTANCE_MM``."""
    joints = head.joints(head.template).astype(np.float64)
    left, right = joints[JOINT_NAMES.index("left_eye")], joints[JOINT_NAMES.index("right_eye")]
    return (points - (left + right) / 2) * (EYE_DISTANCE_MM / np.linalg.norm(left - right))


def lip_depth(face: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Depth in mm of points (…,3) of ``face_coordinates`` inside the lips seen from the front; negative outside."""
    x, y = np.abs(face[..., 0]), face[..., 1]
    upper, lower = np.interp(x, _LIP_X, _LIP_UPPER), np.interp(x, _LIP_X, _LIP_LOWER)
    depth = np.minimum(upper - y, y - lower)
    return np.where((x < _LIP_X[-1]) & (face[..., 2] > 0), depth, -np.maximum(np.abs(depth), 1.0))


def brow_depth(face: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Depth in mm of points (…,3) of ``face_coordinates`` inside an eyebrow; negative outside."""
    x, y = np.abs(face[..., 0]), face[..., 1]
    depth = np.interp(x, _BROW_X, _BROW_HALF) - np.abs(y - np.interp(x, _BROW_X, _BROW_Y))
    ends = np.minimum(x - _BROW_X[0], _BROW_X[-1] - x)
    return np.where(face[..., 2] > -20, np.minimum(depth, ends), -10.0)


def skin_colors(face: NDArray[np.floating[Any]], palette: Palette) -> NDArray[np.float64]:
    """sRGB colours (…,3) of skin at points (…,3) of ``face_coordinates``: lips, brows, cheeks, a shaved scalp."""
    x, y, z = face[..., 0], face[..., 1], face[..., 2]
    colors = np.broadcast_to(np.array(palette.skin), face.shape).copy()
    cheeks = np.exp(-(((np.abs(x) - 38) / 16) ** 2) - ((y + 36) / 14) ** 2) * (z > -30)
    nose = np.exp(-((x / 12) ** 2) - ((y + 40) / 10) ** 2) * (z > 20)
    colors = _mix(colors, palette.blush, 0.55 * np.maximum(cheeks, nose))
    hairline = 62 - 0.006 * np.minimum(x, 70) ** 2
    behind = np.clip((-z - 62) / 14, 0, 1) * np.clip((y + 55) / 20, 0, 1)
    colors = _mix(colors, palette.scalp, 0.8 * np.maximum(np.clip((y - hairline) / 10, 0, 1), behind))
    colors = _mix(colors, palette.lips, np.clip(lip_depth(face) / 1.5 + 0.5, 0, 1))
    return _mix(colors, palette.brows, 0.9 * np.clip(brow_depth(face) / 2.0 + 0.5, 0, 1))


def eye_colors(around: NDArray[np.floating[Any]], palette: Palette) -> NDArray[np.float64]:
    """sRGB colours (n,3) of eyeball points at offsets (n,3) from the eye's centre, the eye looking along +z."""
    degrees = np.degrees(np.arccos(np.clip(around[..., 2] / np.linalg.norm(around, axis=-1), -1, 1)))
    colors = np.broadcast_to(np.array(palette.sclera), around.shape).copy()
    colors = _mix(colors, palette.limbus, np.clip((22.3 - degrees) / 1.2, 0, 1))
    colors = _mix(colors, palette.iris, np.clip((20.9 - degrees) / 1.6, 0, 1))
    return _mix(colors, palette.pupil, np.clip((9.2 - degrees) / 0.8, 0, 1))


def _mix(colors: NDArray[np.float64], color: Color, amount: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return colors + amount[..., None] * (np.array(color) - colors)
