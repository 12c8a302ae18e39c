"""The contact sheet of a head: identities, faces, every expression by name, and the atlas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model import render
from backend.head_model.drawing import Drawing
from backend.head_model.faces import FACES, face_vertices
from backend.head_model.model import HeadModel, actions_of, surface_positions

TILE = 220
COLUMNS = 9
FACE_TILE, FACE_COLUMNS = 330, 6
THREE_QUARTER = 0.65  # radians
ATLAS_PX = 900

Image = NDArray[np.uint8]


def contact_sheet(head: HeadModel, seed: int = 1) -> Image:
    """One RGB picture (H,W,3) of a head model.

    The mean head from all sides, ±2σ of the first identity components, random people, the faces an animator asks for
    from two sides where the head has ARKit's actions, every expression at full strength with its name, landmarks and
    the atlas.

    Raises ``UserError`` ``no_opengl`` where nothing can be drawn.
    """
    drawing = Drawing.of(head)
    with render.HeadRenderer((TILE, TILE)) as renderer:
        draw = _Tiles(head, drawing, renderer)
        rows = [
            _heading("the mean head"),
            *_grid(draw.turntable()),
            _heading("identity: −2σ and +2σ of each component"),
            *_grid(draw.components()),
            _heading("random identities"),
            *_grid(draw.people(seed)),
        ]
    if actions_of(head)[0]:
        with render.HeadRenderer((FACE_TILE, FACE_TILE)) as renderer:
            tiles = _Tiles(head, drawing, renderer).faces()
            rows += [_heading("faces: mixtures of ARKit's actions"), *_grid(tiles, FACE_COLUMNS)]
    with render.HeadRenderer((TILE, TILE)) as renderer:
        draw = _Tiles(head, drawing, renderer)
        rows += [
            _heading("expressions at 1"),
            *_grid(draw.expressions()),
            _heading("landmarks (MediaPipe-478, iBUG-68) and the atlas"),
        ]
    with render.HeadRenderer((ATLAS_PX, ATLAS_PX)) as renderer:
        rows.append(np.concatenate([_landmarks(head, drawing, renderer), draw_atlas(head, ATLAS_PX)], axis=1))
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=32) for row in rows]
    return np.concatenate(padded).astype(np.uint8)


def draw_atlas(head: HeadModel, side: int) -> Image:
    """The atlas as a wireframe (side,side,3), one colour per part, v upwards."""
    image = np.full((side, side, 3), 250, np.uint8)
    tones = {"mouth_bag": (180, 40, 40), "eye_sockets": (150, 40, 150), "ears": (30, 90, 190), "face": (40, 120, 60)}
    inside = {name: head.regions[name][head.triangles].all(axis=1) for name in tones if name in head.regions}
    corners = np.round(head.uv_vertices[head.uv_triangles] * [side, -side] * 16 + [0, side * 16]).astype(np.int32)
    for n, triangle in enumerate(corners):
        tone = next((tones[name] for name, mask in inside.items() if mask[n]), (90, 90, 90))
        cv2.polylines(image, [triangle], True, tone, 1, cv2.LINE_AA, 4)
    return image


class _Tiles:
    def __init__(self, head: HeadModel, drawing: Drawing, renderer: render.HeadRenderer) -> None:
        self.head, self.drawing, self.renderer = head, drawing, renderer
        joints = head.joints(head.template)
        self.centre = joints[3:5].mean(axis=0)
        self.unit = float(np.linalg.norm(joints[3] - joints[4]))

    def tile(
        self, vertices: NDArray[Any], label: str = "", yaw: float = 0.0, pitch: float = 0.0, zoom: float = 1.0
    ) -> Image:
        target = self.centre + self.unit * np.array([0, -0.35 - 0.35 / zoom, -0.8 / zoom])
        shown = self.drawing.vertices(vertices)
        image = self.renderer.render(
            shown,
            self.drawing.triangles,
            self.drawing.shades(shown),
            texture=self.drawing.texture,
            corner_uv=self.drawing.corner_uv,
            focal_px=self.renderer.size[0] * 2.9 * zoom,
            principal_point=(self.renderer.size[0] / 2, self.renderer.size[1] / 2),
            world_to_camera=render.look_at_head(16 * self.unit, yaw, pitch, target.tolist()),
        )
        return _labelled(image, label)

    def turntable(self) -> Iterator[Image]:
        for yaw, pitch in ((0, 0), (0.7, 0), (np.pi / 2, 0), (np.pi, 0), (-0.7, 0), (0, 0.6), (0, -0.6)):
            yield self.tile(self.head.template, f"{np.degrees(yaw):.0f}, {np.degrees(pitch):.0f} deg", yaw, pitch)

    def components(self) -> Iterator[Image]:
        for sign in (-2, 2):
            for k in range(min(COLUMNS, len(self.head.shape_basis))):
                yield self.tile(self.head.template + sign * self.head.shape_basis[k], f"{k}: {sign:+d} sigma", 0.45)

    def people(self, seed: int) -> Iterator[Image]:
        rng = np.random.default_rng(seed)
        for n in range(2 * COLUMNS):
            neutral = self.head.neutral(rng.normal(size=len(self.head.shape_basis)))
            yield self.tile(neutral, f"person {n}", rng.uniform(-0.6, 0.6))

    def faces(self) -> Iterator[Image]:
        for face in FACES:
            vertices = face_vertices(self.head, face)
            for yaw in (0.0, THREE_QUARTER):
                yield self.tile(vertices, face.name, yaw, zoom=1.6)

    def expressions(self) -> Iterator[Image]:
        for name, offset in zip(self.head.expression_names, self.head.expression_basis, strict=True):
            jaw = np.float32(0)
            if (
                name == "mouthClose" and "jawOpen" in self.head.expression_names
            ):  # by ARKit's definition it undoes jawOpen
                jaw, name = self.head.expression_basis[self.head.expression_names.index("jawOpen")], f"{name} + jawOpen"
            yield self.tile(self.head.template + offset + jaw, name, zoom=1.7)


def _landmarks(head: HeadModel, drawing: Drawing, renderer: render.HeadRenderer) -> Image:
    centre, side = head.joints(head.template)[3:5].mean(axis=0), ATLAS_PX
    unit = float(np.linalg.norm(np.diff(head.joints(head.template)[3:5], axis=0)))
    camera = render.look_at_head(16 * unit, target=(centre - np.array([0, 0.55 * unit, 0])).tolist())
    focal = side * 6.2
    image = renderer.render(
        drawing.vertices(head.template),
        drawing.triangles,
        texture=drawing.texture,
        corner_uv=drawing.corner_uv,
        focal_px=focal,
        principal_point=(side / 2, side / 2),
        world_to_camera=camera,
    ).copy()
    for name, tone, radius in (("mediapipe478", (40, 220, 60), 2), ("ibug68", (250, 230, 40), 4)):
        points = surface_positions(head.landmarks[name], head.triangles, head.template) @ camera[:, :3].T + camera[:, 3]
        for x, y in points[:, :2] / points[:, 2:] * focal + side / 2:
            cv2.circle(
                image, (round(x * 16), round(y * 16)), radius * 16, tone, 1 if radius > 2 else -1, cv2.LINE_AA, 4
            )
    return image


def _grid(tiles: Iterator[Image], columns: int = COLUMNS) -> list[Image]:
    images = list(tiles)
    images += [np.full_like(images[0], 32)] * (-len(images) % columns)
    return [np.concatenate(images[n : n + columns], axis=1) for n in range(0, len(images), columns)]


def _heading(text: str) -> Image:
    image = np.full((34, TILE * COLUMNS, 3), 32, np.uint8)
    plain = text.replace("−", "-").replace("σ", " sigma")
    cv2.putText(image, plain, (10, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (235, 235, 235), 1, cv2.LINE_AA)
    return image


def _labelled(image: Image, text: str) -> Image:
    marked = image.copy()
    cv2.putText(marked, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 2, cv2.LINE_AA)
    cv2.putText(marked, text, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
    return marked
