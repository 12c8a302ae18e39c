"""Colours for drawing a head: skin, brows, lips, eyes, teeth; human enough for a face detector to find it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.atlas_texels import AtlasTexels, sample
from backend.head_model.library import load_head
from backend.head_model.model import JOINT_NAMES, HeadModel, actions_of

Color = tuple[float, float, float]

EYE_DISTANCE_MM = 60.2
"""Distance between the eyeballs' centres of the face the outlines below are drawn on, in mm from their midpoint."""

REGISTERED = "registered_to"
"""The key of ``HeadModel.provenance`` that heads in the open head's atlas have."""

GAMMA = 2.2
MOUTH_RADIUS_MM = 10.0
"""Radius of a mouth that is open as in speech: 20 mm between the lips."""

MOUTH_PARTS = ("mouth_bag", "teeth", "tongue", "gums")
"""Regions inside the mouth."""
_EYES = (("left_eyeball", "left_eye"), ("right_eyeball", "right_eye"))
_PLACES = 512  # side of the atlas picture that places are read from: half a millimetre on the face
_LIP_EDGE_MM = 1.5  # over which skin becomes lip
_LIP_X = (0.0, 5.0, 12.0, 20.0, 25.5)
_LIP_UPPER = (-63.0, -61.5, -64.5, -69.0, -71.3)
_LIP_LOWER = (-84.5, -84.0, -80.5, -75.5, -71.3)
# midway between the two rows of points that MediaPipe puts on a brow, as calibrated on photographs of people
_BROW_X = (9.0, 13.0, 19.0, 30.0, 40.0, 48.0, 54.5)
_BROW_Y = (14.2, 15.4, 16.9, 19.2, 19.9, 17.4, 12.8)
_BROW_HALF = (2.2, 3.8, 3.5, 2.8, 2.4, 2.0, 1.0)


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
    light = mouth_light(head)
    masks = head.regions
    for name, color in _part_colors(palette):
        if name in masks:
            colors[masks[name]] = color
    for part, joint in _EYES:
        if part in masks and masks[part].any():
            around = head.template[masks[part]] - head.joints(head.template)[JOINT_NAMES.index(joint)]
            colors[masks[part]] = eye_colors(around, palette)
    return (colors * light[:, None] ** (1 / GAMMA)).astype(np.float32)


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
    colors *= texels.on_surface(head, mouth_light(head))[:, None] ** (1 / GAMMA)
    covered = np.zeros((side, side), bool)
    covered[texels.rows, texels.columns] = True
    return _bleed(texels.picture(colors), covered)


def _bleed(image: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The picture with the nearest colour spread over the empty texels, so that filtering finds no black at seams."""
    return np.clip(_spread(image, covered) * 255 + 0.5, 0, 255).astype(np.uint8)


def _spread(image: NDArray[np.float32], covered: NDArray[np.bool_]) -> NDArray[np.float32]:
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return image[rows, columns]


def _part_colors(palette: Palette) -> tuple[tuple[str, Color], ...]:
    return (
        ("mouth_bag", palette.mouth),
        ("eye_sockets", palette.blush),
        ("teeth", palette.teeth),
        ("tongue", palette.tongue),
        ("gums", palette.tongue),
        ("lashes", palette.lashes),
    )


def mouth_light(head: HeadModel) -> NDArray[np.float32]:
    """The share (V,) of the light in front of the mouth that reaches each vertex inside; 1 outside.

    A disk of light of radius r at distance d lights what faces it by r² / (r² + d²) of what it would close by (the form
    factor of a disk, e.g. Howell's catalogue B-4): r is an open mouth's, d the depth behind the incisors. A tongue that
    is put out would bring its darkness along, so that its depth is that of a third of the way out.
    """
    light = np.ones(head.vertex_count, np.float32)
    inside = np.any([head.regions[name] for name in MOUTH_PARTS if name in head.regions] or [light < 0], axis=0)
    if inside.any():
        depth = face_coordinates(head, _partly_out(head))[:, 2]
        teeth = head.regions.get("teeth", inside)
        light[inside] = light_behind(depth[teeth if teeth.any() else inside].max() - depth[inside])
    return light


def _partly_out(head: HeadModel) -> NDArray[np.float32]:
    """The template (V,3) with its tongue a third of the way out."""
    names, basis = actions_of(head)
    tongue = head.regions.get("tongue")
    if tongue is None or "tongueOut" not in names:
        return head.template
    return head.template + tongue[:, None] * basis[names.index("tongueOut")] / 3


def light_behind(depth_mm: NDArray[np.floating[Any]], radius_mm: float = MOUTH_RADIUS_MM) -> NDArray[np.float64]:
    """The share (n,) of the light that comes through a round opening to places (n,) so far behind it."""
    return np.asarray(radius_mm**2 / (radius_mm**2 + np.maximum(depth_mm, 0.0) ** 2), np.float64)


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


def lip_share(head: HeadModel) -> NDArray[np.float32]:
    """How much of each vertex (V,) is lip, 0 to 1, on the skin outside the mouth."""
    share = np.clip(lip_depth(canonical_face(head)) / _LIP_EDGE_MM + 0.5, 0, 1)
    inside = [head.regions[name] for name in (*MOUTH_PARTS, "lashes") if name in head.regions]
    for mask in inside:
        share[mask] = 0.0
    return share.astype(np.float32)


def canonical_face(head: HeadModel) -> NDArray[np.float64]:
    """``face_coordinates`` (V,3) of the places of the open head that a head's vertices have in the atlas."""
    if REGISTERED not in head.provenance:
        return face_coordinates(head, head.template)
    at = head.uv.astype(np.float64) * (1, -1) + (0, 1)
    return sample(_open_face(), at * _PLACES)


@lru_cache(maxsize=1)
def _open_face() -> NDArray[np.float32]:
    """The open head's ``face_coordinates`` as a picture of the atlas."""
    head = load_head("open")
    texels = AtlasTexels.of(head, _PLACES)
    covered = np.zeros((_PLACES, _PLACES), bool)
    covered[texels.rows, texels.columns] = True
    return _spread(texels.picture(texels.on_surface(head, face_coordinates(head, head.template))), covered)


def brow_outline(steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """An eyebrow from its inner to its outer end: |x|, y of its middle line and half its height, each (steps,), mm."""
    x = np.linspace(_BROW_X[0], _BROW_X[-1], steps)
    return x, np.interp(x, _BROW_X, _BROW_Y), np.interp(x, _BROW_X, _BROW_HALF)


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
    colors = _mix(colors, palette.scalp, 0.8 * scalp_share(face))
    colors = _mix(colors, palette.lips, np.clip(lip_depth(face) / _LIP_EDGE_MM + 0.5, 0, 1))
    return _mix(colors, palette.brows, 0.9 * np.clip(brow_depth(face) / 2.0 + 0.5, 0, 1))


def scalp_share(face: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """How much of points (…,3) of ``face_coordinates`` lies where hair grows on the head, 0 to 1."""
    x, y, z = face[..., 0], face[..., 1], face[..., 2]
    hairline = 62 - 0.006 * np.minimum(x, 70) ** 2
    behind = np.clip((-z - 62) / 14, 0, 1) * np.clip((y + 55) / 20, 0, 1)
    return np.maximum(np.clip((y - hairline) / 10, 0, 1), behind)


def eye_colors(around: NDArray[np.floating[Any]], palette: Palette) -> NDArray[np.float64]:
    """sRGB colours (n,3) of eyeball points at offsets (n,3) from the eye's centre, the eye looking along +z."""
    degrees = np.degrees(np.arccos(np.clip(around[..., 2] / np.linalg.norm(around, axis=-1), -1, 1)))
    colors = np.broadcast_to(np.array(palette.sclera), around.shape).copy()
    colors = _mix(colors, palette.limbus, np.clip((22.3 - degrees) / 1.2, 0, 1))
    colors = _mix(colors, palette.iris, np.clip((20.9 - degrees) / 1.6, 0, 1))
    return _mix(colors, palette.pupil, np.clip((9.2 - degrees) / 0.8, 0, 1))


def _mix(colors: NDArray[np.float64], color: Color, amount: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return colors + amount[..., None] * (np.array(color) - colors)
