"""The open head in marked skin before cameras of which everything is known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.fitting import View
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.render import DEFAULT_LIGHTS, HeadRenderer, Light, look_at_head
from tests.backend.fitting.observed import view_of

F64 = NDArray[np.float64]

SIDE, FOCAL = 480, 800.0
LANDMARKS = "mediapipe478"


def marked_skin(side: int = 1024) -> NDArray[np.uint8]:
    """Skin with freckles and blotches of a few sizes."""
    random = np.random.default_rng(4)
    marks = np.zeros((side, side))
    for cells, strength in ((64, 10.0), (160, 12.0), (320, 10.0)):
        noise = random.standard_normal((cells, cells))
        marks += strength * cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.clip(np.array([200.0, 155.0, 135.0]) + marks[..., None], 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Rig:
    """Cameras around a neutral head in the middle of the world, by their yaws and pitches in radians."""

    angles: tuple[tuple[float, float], ...]
    distance: float = 0.8

    @property
    def head(self) -> HeadModel:
        return load_head("open")

    @cached_property
    def world_to_camera(self) -> F64:
        """(C,3,4)."""
        face = self.head.template[self.head.regions["face"]].mean(axis=0).tolist()
        return np.stack([look_at_head(self.distance, yaw, pitch, face) for yaw, pitch in self.angles])

    @cached_property
    def pictures(self) -> list[NDArray[np.uint8]]:
        """RGB; the lamps stand still in the world."""
        head, skin = self.head, marked_skin()
        shown = []
        with HeadRenderer((SIDE, SIDE)) as renderer:
            for camera in self.world_to_camera:
                turn = camera[:, :3] @ self.world_to_camera[0, :, :3].T
                lights = [Light(tuple(turn @ np.array(lamp.direction)), lamp.color) for lamp in DEFAULT_LIGHTS]
                picture = renderer.render(
                    head.template,
                    head.triangles,
                    texture=skin,
                    corner_uv=head.uv_vertices[head.uv_triangles],
                    focal_px=FOCAL,
                    principal_point=(SIDE / 2, SIDE / 2),
                    world_to_camera=camera,
                    lights=lights,
                )
                shown.append(picture)
        return shown

    def views(self, bias: float, cameras: F64 | None = None) -> list[View]:
        """Views as an aligner would see them, every point off by ``bias`` pixels.

        The error is smooth over the face and another one in each view.
        With other ``cameras (C,3,4)`` it takes the pictures for theirs.
        """
        head = self.head
        points = surface_positions(head.landmarks[LANDMARKS], head.triangles, head.template.astype(np.float64))
        random = np.random.default_rng(8)
        found = []
        for camera in self.world_to_camera if cameras is None else cameras:
            there = points @ camera[:, :3].T + camera[:, 3]
            mu = there[:, :2] / there[:, 2:] * FOCAL + SIDE / 2
            off = (points - points.mean(axis=0)) / points.std(axis=0) @ random.standard_normal((3, 2))
            mu = mu + bias * off / off.std()
            seen = np.ones((1, len(mu)), bool)
            sigma = np.full(seen.shape, max(bias, 0.3), np.float32)
            found.append(View(view_of(LANDMARKS, mu[None], sigma, seen, (SIDE, SIDE))))
        return found
