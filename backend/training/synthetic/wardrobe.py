"""The wardrobe of a rendered head: hair, a beard, a cap, glasses, clothes; drawn at random and fitted to the head."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import face_coordinates
from backend.head_model.model import HeadModel
from backend.training.synthetic import props
from backend.training.synthetic.actors import Actor
from backend.training.synthetic.props import Face
from backend.training.synthetic.shells import Layer, beard, cap, hair, make_shells, strands
from backend.training.synthetic.skins import Skin
from backend.training.synthetic.stage import Stage, Surface
from backend.training.synthetic.views import Pose, posed

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Tint = tuple[float, float, float]

_STRANDS, _CLOTHS = 8, 8  # textures of each kind
_SEED = 53


@dataclass(frozen=True, eq=False)
class Wearer:
    """The head that is dressed.

    The open head's vertices (V0,3) on it and their normals in head space, the ``middle (3,)`` about which it was posed,
    and how it looks (``tint`` linear RGB, on top of the painted skin).
    """

    skin: F64
    normals: F64
    middle: F64
    pose: Pose
    look: Skin
    tint: Tint


class Wardrobe:
    """Everything there is to wear, kept on ``stage`` under names of its own."""

    def __init__(self, head: HeadModel, open_actor: Actor, stage: Stage) -> None:
        self._shells = make_shells(head)
        self._places = _Places(head)
        self._open = open_actor
        random = np.random.default_rng(_SEED)
        for name, shell in self._shells.items():
            stage.add_mesh(name, shell.uv, np.full(len(shell.uv), 0.35, np.float32), {"all": shell.triangles})
        self._static: dict[str, NDArray[np.int32]] = {
            "frame": props.frame_triangles(),
            "lenses": props.lens_triangles(),
            "peak": props.grid_triangles(*props.PEAK),
            "curtain": props.grid_triangles(*props.CURTAIN),
            "body": props.grid_triangles(*props.BODY, closed=True),
        }
        columns = props.BODY[0]
        bare = self._static["body"].min(axis=1) < (props.BODY_SKIN_ROWS - 1) * columns
        for name, triangles in self._static.items():
            parts = {"all": triangles}
            if name == "body":
                parts = {"skin": triangles[bare], "cloth": triangles[~bare]}
            wet = {"frame": 0.6, "lenses": 0.9, "curtain": 0.35}.get(name, 0.08)
            count = int(triangles.max()) + 1
            stage.add_mesh(name, _plane_uv(name, count), np.full(count, wet, np.float32), parts)
        stage.add_texture("white", np.full((4, 4, 4), 255, np.uint8))
        for n in range(_STRANDS):
            stage.add_texture(f"strands{n}", strands(random, n / (_STRANDS - 1)))
        for n in range(_CLOTHS):
            stage.add_texture(f"cloth{n}", _cloth(random))

    def wearer(self, skin: F64, middle: F64, pose: Pose, look: Skin, tint: Tint) -> Wearer:
        """Someone to dress, by the open head's vertices (V0,3) on them in head space."""
        return Wearer(skin, self._open.normals(skin.astype(np.float32)).astype(np.float64), middle, pose, look, tint)

    def dress(self, who: Wearer, random: np.random.Generator) -> list[Surface]:
        """The things they wear, in the order in which they have to be drawn after the head."""
        face = self._places.of(who.skin)
        worn = self._body(who, face, random)
        color = _linear(who.look.hair * random.uniform(0.6, 1.3))
        texture = f"strands{random.integers(_STRANDS)}"
        capped = random.random() < 0.1
        if capped:
            worn += self._cap(who, face, random)
        haired = random.random() < 0.8
        if haired and not capped:
            layer = hair(self._shells["scalp"], who.skin, who.normals, random)
            worn.append(self._strands("scalp", layer, who, texture, color, random))
        if haired and random.random() < 0.35:
            points = props.curtain(face, random.uniform(0.004, 0.02), random)
            worn.append(self._curtain(points, who, texture, color))
        if random.random() < 0.2:
            layer = beard(self._shells["chin"], who.skin, who.normals, random)
            worn.append(self._strands("chin", layer, who, texture, color, random))
        if random.random() < 0.25:
            worn += self._glasses(who, face, random)
        return worn

    def _strands(
        self, mesh: str, layer: Layer, who: Wearer, texture: str, color: Tint, random: np.random.Generator
    ) -> Surface:
        normals = who.normals[self._shells[mesh].index]
        rest = Surface(mesh, *_placed(layer.vertices, normals, who), texture=texture, tint=color)
        return replace(rest, amount=layer.amount, ragged=random.uniform(0.2, 1.2), two_sided=True, gloss=0.5)

    def _curtain(self, points: F64, who: Wearer, texture: str, color: Tint) -> Surface:
        columns, rows = props.CURTAIN
        normals = props.smooth_normals(points, self._static["curtain"])
        ends = np.minimum(np.arange(columns), np.arange(columns)[::-1]) / 2.0
        amount = np.minimum(np.minimum(ends[None] + 0.35, 1.2), 1.1 * np.linspace(1.6, 0.3, rows)[:, None]).ravel()
        rest = Surface("curtain", *_placed(points, normals, who), texture=texture, tint=color)
        return replace(rest, amount=amount.astype(np.float32), ragged=1.0, two_sided=True, gloss=0.5)

    def _cap(self, who: Wearer, face: Face, random: np.random.Generator) -> list[Surface]:
        shell = self._shells["scalp"]
        layer, rim = cap(shell, who.skin, who.normals, random)
        color, cloth = _cloth_color(random), f"cloth{random.integers(_CLOTHS)}"
        rest = Surface("scalp", *_placed(layer.vertices, who.normals[shell.index], who), texture=cloth, tint=color)
        worn = [replace(rest, amount=layer.amount, ragged=0.0, two_sided=True, gloss=0.2)]
        if random.random() < 0.6:
            front = int(shell.index[np.hypot(shell.face[:, 0], shell.face[:, 1] - rim).argmin()])
            points = props.peak(face, who.skin[front], random)
            worn.append(self._solid("peak", points, who, "white", color))
        return worn

    def _glasses(self, who: Wearer, face: Face, random: np.random.Generator) -> list[Surface]:
        frame, lenses = props.glasses(face, random)
        color = _cloth_color(random)
        dark = random.random() < 0.25
        glass = replace(
            self._solid("lenses", lenses, who, "white", _rgb(random.uniform(0, 0.12, 3) if dark else np.full(3, 0.6))),
            opacity=float(random.uniform(0.55, 0.98) if dark else random.uniform(0.02, 0.2)),
            gloss=1.0,
        )
        return [replace(self._solid("frame", frame, who, "white", color), gloss=0.8), glass]

    def _body(self, who: Wearer, face: Face, random: np.random.Generator) -> list[Surface]:
        yaw, pitch, roll = who.pose.angles
        shares = random.uniform((0.0, -0.1, 0.0), (0.8, 0.4, 0.6))
        yaw, pitch, roll = (np.array([yaw, pitch, roll]) * shares + random.normal(0, 0.1, 3)).tolist()
        trunk = posed(yaw, pitch, roll, who.pose.place)
        points = props.body(face, who.pose.rotation.T @ trunk.rotation, random)
        tone = np.array(_linear(who.look.tone)) * who.tint * 0.9
        bare = replace(self._solid("body", points, who, "white", _rgb(tone)), part="skin", gloss=1.0)
        cloth = replace(
            bare, part="cloth", texture=f"cloth{random.integers(_CLOTHS)}", tint=_cloth_color(random), gloss=0.3
        )
        return [bare, cloth]

    def _solid(self, mesh: str, points: F64, who: Wearer, texture: str, tint: Tint) -> Surface:
        normals = props.smooth_normals(points, self._static[mesh])
        return Surface(mesh, *_placed(points, normals, who), texture=texture, tint=tint, two_sided=True)


class _Places:
    """The open head's vertices that tell where things sit."""

    def __init__(self, head: HeadModel) -> None:
        face = face_coordinates(head, head.template)
        outer = head.regions["skin"] & ~head.regions["mouth_bag"] & ~head.regions["eye_sockets"]
        rows = np.flatnonzero(outer & ~head.regions["ears"])
        self._eyes = [np.flatnonzero(head.regions[f"{side}_eyeball"]) for side in ("left", "right")]
        wanted = np.array([(0, -4, 25), (75, 8, -62), (-75, 8, -62)])
        near = rows[((face[rows][:, None] - wanted) ** 2).sum(axis=2).argmin(axis=0)]
        self._bridge, self._ears = near[0], near[1:]
        self._neck = rows[(np.abs(face[rows, 1] + 120) < 9) & (face[rows, 2] < -20)]
        level = rows[(np.abs(face[rows, 1] - 10) < 14) & (face[rows, 2] < -20)]
        self._skull = level
        self._distance = float(np.linalg.norm(np.subtract(*(head.template[e].mean(axis=0) for e in self._eyes))))

    def of(self, skin: F64) -> Face:
        left, right = (skin[eye].mean(axis=0) for eye in self._eyes)
        neck, skull = skin[self._neck], skin[self._skull]
        back, wide = skull[:, 2].min(), (skull[:, 0].max() - skull[:, 0].min()) / 2
        middle = np.array([skull[:, 0].mean(), skull[:, 1].mean(), back + wide])
        return Face(
            left=left,
            right=right,
            bridge=skin[self._bridge],
            ears=skin[self._ears] + np.array([(0.002, 0, 0), (-0.002, 0, 0)]),
            neck=(neck.min(axis=0) + neck.max(axis=0)) / 2,
            neck_radii=((neck.max(axis=0) - neck.min(axis=0)) / 2)[[0, 2]],
            skull=middle,
            skull_radii=np.array([wide, wide]),
            size=float(np.linalg.norm(left - right)) / self._distance,
        )


def _placed(points: NDArray[np.floating[Any]], normals: NDArray[np.floating[Any]], who: Wearer) -> tuple[F32, F32]:
    rotation = who.pose.rotation
    placed = (points - who.middle) @ rotation.T + who.pose.place
    return placed.astype(np.float32), (normals @ rotation.T).astype(np.float32)


def _plane_uv(name: str, count: int) -> F32:
    """A grid's own coordinates; nothing else has a pattern."""
    columns = {"peak": props.PEAK[0], "curtain": props.CURTAIN[0], "body": props.BODY[0]}.get(name)
    if columns is None:
        return np.zeros((count, 2), np.float32)
    across, down = np.arange(count) % columns, np.arange(count) // columns
    return np.column_stack([3 * across / columns, 1 - 0.13 * down]).astype(np.float32)


def _cloth(random: np.random.Generator) -> NDArray[np.uint8]:
    """A small woven, striped or plain pattern (64,64,4)."""
    pattern = 0.9 + 0.05 * random.standard_normal((64, 64, 1))
    if random.random() < 0.6:
        stripe = np.sin(np.arange(64) * 2 * np.pi * random.integers(1, 9) / 64) > random.uniform(-0.5, 0.8)
        pattern = pattern - random.uniform(0.1, 0.6) * (
            stripe[None, :, None] if random.random() < 0.5 else stripe[:, None, None]
        )
    rgb = np.clip(pattern * random.uniform(0.8, 1.0, 3), 0, 1)
    return np.concatenate([rgb * 255, np.full((64, 64, 1), 255.0)], axis=2).astype(np.uint8)


def _cloth_color(random: np.random.Generator) -> Tint:
    if random.random() < 0.4:
        return _rgb(np.full(3, random.uniform(0.01, 0.8)))
    return _rgb(random.uniform(0.01, 0.8, 3))


def _linear(color: F64) -> Tint:
    return _rgb(np.clip(color, 0, 1) ** 2)


def _rgb(color: F64) -> Tint:
    red, green, blue = (float(c) for c in color)
    return red, green, blue
