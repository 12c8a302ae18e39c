"""Training samples of rendered heads: each drawn from a generator of its own, with exact labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.alignment.flowface.crop import CropLayout
from backend.head_model.action_weights import LIP_PAIRS
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.training.atlas_points import atlas_points, with_landmarks
from backend.training.samples import NOMINAL, Sample, sample_side
from backend.training.synthetic.actors import Actor, OpenVertices, make_actor
from backend.training.synthetic.backgrounds import draw_background
from backend.training.synthetic.canvas import make_canvas
from backend.training.synthetic.expressions import Performance, perform
from backend.training.synthetic.ict_actor import load_ict_actor
from backend.training.synthetic.lighting import draw_lighting
from backend.training.synthetic.skins import Skin, paint
from backend.training.synthetic.stage import Stage, Surface
from backend.training.synthetic.views import Camera, Pose, draw_pose, frame
from backend.training.synthetic.wardrobe import Wardrobe
from backend.training.textures import FaceTexture

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

POOL = 64
"""Painted people; each is painted when it is first drawn, and tinted anew each time."""

SLACK = 0.004
"""Metres behind the nearest surface at which a point still counts as visible."""

_SHUT = 0.0012  # metres between lips through which no teeth are seen
_SEED = 52
_IDENTITY_BOUND = 2.5  # standard deviations of one mode


@dataclass(frozen=True, eq=False)
class Shot:
    """Everything drawn from the generator about the head itself; ``actor`` indexes the source's actors."""

    actor: int
    identity: F64
    performance: Performance
    pose: Pose
    skin: int


@dataclass(frozen=True, eq=False)
class Placed:
    """A shot's head before its camera.

    ``neutral (V,3)`` and ``local (V,3)`` the actor's vertices in head space, ``middle (3,)`` of its face there,
    ``on_open (V0,3)`` the open head's vertices on ``local``; ``points (P,3)`` those of ``AtlasPoints`` in camera space.
    """

    neutral: F32
    local: F32
    middle: F64
    on_open: F64
    points: F64
    camera: Camera


class SyntheticSource(AbstractContextManager["SyntheticSource", None]):
    """Renders samples of the open head, of MakeHuman's and, where ``ict_path`` is given, as many of ICT-FaceKit's.

    A context manager. The same generator state gives the same sample, whatever was drawn before. ``textures`` are
    photographed skins, ``nominal`` the side of the face's nominal crop, pixels.

    Raises UserError ``no_opengl``, and as ``load_ict_actor`` does.
    """

    def __init__(
        self,
        ict_path: Path | None = None,
        textures: Sequence[FaceTexture] = (),
        cache: Path | None = None,
        nominal: int = NOMINAL,
    ) -> None:
        self._nominal = nominal
        self._head = load_head("open")
        points = atlas_points(self._head)
        self._layout = CropLayout.of(self._head)
        head = self._head
        self.actors = load_actors(head, ict_path, cache)
        self._weights = [self._weight(points.weight, actor) for actor in self.actors]
        self._canvas = make_canvas(head)
        self._textures = tuple(textures)
        self._skins: dict[int, Skin] = {}
        self._stage = Stage(sample_side(nominal))
        for actor in self.actors:
            self._stage.add_mesh(actor.name, actor.uv, actor.wet, {"all": actor.triangles, "shut": actor.shut})
        self._wardrobe = Wardrobe(head, self.actors[0], self._stage)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._stage.close()

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample that ``rng`` draws; ``index`` only names it."""
        return self.render(draw_shot(self.actors, rng), index, rng)

    def render(self, shot: Shot, index: int, rng: np.random.Generator, dressed: bool = True) -> Sample:
        """A sample of a given head; ``rng`` draws what is around it and, where ``dressed``, what it wears."""
        actor = self.actors[shot.actor]
        placed = place(self._head, self._layout, actor, shot, self._nominal)
        local, middle, points, camera = placed.local, placed.middle, placed.points, placed.camera
        mu = camera.project(points)
        skin, tint = self._skin(shot.skin), _tint(rng)
        rotation = shot.pose.rotation.astype(np.float32)
        vertices = (local - middle.astype(np.float32)) @ rotation.T + shot.pose.place.astype(np.float32)
        head = Surface(
            mesh=actor.name,
            vertices=vertices[actor.drawn],
            normals=actor.normals(vertices)[actor.drawn],
            texture=f"skin{shot.skin}",
            tint=tint,
            part="all" if self._lip_gap(points) > _SHUT else "shut",
        )
        who = self._wardrobe.wearer(placed.on_open, middle, shot.pose, skin, tint)
        surfaces = [head, *(self._wardrobe.dress(who, rng) if dressed else [])]
        picture, foreground, depth = self._stage.draw(
            surfaces, camera, draw_lighting(rng), draw_background(rng, sample_side(self._nominal))
        )
        return Sample(
            image=picture,
            mu=mu.astype(np.float32),
            weight=self._weights[shot.actor],
            visible=visible_points(mu, points[:, 2], depth),
            foreground=foreground,
            crop=self._layout.crop(mu, self._nominal),
            source=f"{actor.name} {index}",
        )

    def _weight(self, weight: F32, actor: Actor) -> F32:
        """λ (P,) where the actor has the point, else 0; a landmark needs all three corners of its triangle."""
        corners = self._head.triangles[self._head.landmarks["mediapipe478"].triangle]
        known = actor.open_vertices.known
        return np.asarray(weight * np.concatenate([known, known[corners].all(axis=1)]), np.float32)

    def _lip_gap(self, points: F64) -> float:
        """Metres between the lips (P,3) where they are farthest apart."""
        marks = points[self._head.vertex_count :][np.array(LIP_PAIRS)]
        return float(np.linalg.norm(marks[:, 0] - marks[:, 1], axis=1).max())

    def _skin(self, number: int) -> Skin:
        if number not in self._skins:
            random = np.random.default_rng([_SEED, number])
            self._skins[number] = skin = paint(self._canvas, random, self._textures)
            self._stage.add_texture(f"skin{number}", skin.picture)
        return self._skins[number]


def load_actors(head: HeadModel, ict_path: Path | None, cache: Path | None = None) -> tuple[Actor, ...]:
    """The heads that are rendered, in the order in which ``Shot.actor`` counts; ``head`` is the open one.

    Raises UserError as ``load_ict_actor`` does.
    """
    # MakeHuman's people and actions, in the same mesh as the open head's, which has those of scans
    actors = [_own_actor("open", head), _own_actor("makehuman", load_head("open1"))]
    if ict_path is not None:
        actors.append(load_ict_actor(ict_path, head, cache))
    return tuple(actors)


def place(head: HeadModel, layout: CropLayout, actor: Actor, shot: Shot, nominal: int) -> Placed:
    """The geometry of a shot; ``nominal`` is the side of the face's nominal crop, pixels."""
    neutral = actor.neutral(shot.identity)
    local = actor.posed(neutral, shot.performance.strengths, shot.performance.gaze)
    middle = local[actor.face].mean(axis=0).astype(np.float64)
    on_open = actor.open_vertices.on(local)
    points = (with_landmarks(head, on_open) - middle) @ shot.pose.rotation.T + shot.pose.place
    return Placed(neutral, local, middle, on_open, points, frame(layout, points, nominal))


def _own_actor(name: str, head: HeadModel) -> Actor:
    """An edition of the open head as an actor, with all its identity modes."""
    return make_actor(name, head, OpenVertices.of_itself(head), np.arange(len(head.shape_basis)))


def draw_shot(actors: Sequence[Actor], rng: np.random.Generator) -> Shot:
    """Draw who is seen, doing what, from where."""
    number = int(rng.integers(len(actors)))
    exaggerated = 1.2 if rng.random() < 0.3 else 1.0
    identity = np.clip(rng.standard_normal(len(actors[number].modes)), -_IDENTITY_BOUND, _IDENTITY_BOUND)
    return Shot(number, exaggerated * identity, perform(rng), draw_pose(rng), int(rng.integers(POOL)))


def _tint(rng: np.random.Generator) -> tuple[float, float, float]:
    red, green, blue = np.exp(rng.normal(0, 0.18) + rng.normal(0, 0.06, 3))
    return float(red), float(green), float(blue)


def visible_points(mu: F64, z: F64, depth: F32) -> NDArray[np.bool_]:
    """The points (P,) at image positions ``mu`` and depths ``z`` that are not behind a nearer surface.

    The farthest depth around a pixel decides, so that points on an outline are not lost to rounding.
    """
    around = cv2.dilate(depth, np.ones((3, 3), np.uint8))
    column, row = np.floor(mu.T).astype(int)
    side = len(depth)
    inside = (column >= 0) & (row >= 0) & (column < side) & (row < side)
    seen = around[np.clip(row, 0, side - 1), np.clip(column, 0, side - 1)]
    return np.asarray(~inside | (z < seen + SLACK))
