"""Paints people on the canonical atlas: skin of any tone, brows, lips, stubble, marks, eyes, teeth, the mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from backend.head_model.appearance import Palette, brow_depth, eye_colors, lip_depth
from backend.training.synthetic.canvas import CANVAS, Canvas
from backend.training.textures import FaceTexture

F32 = NDArray[np.float32]

_SKINS = np.array(
    [
        (0.96, 0.82, 0.75), (0.93, 0.76, 0.67), (0.87, 0.67, 0.55), (0.78, 0.57, 0.44), (0.62, 0.42, 0.30),
        (0.45, 0.29, 0.21), (0.31, 0.20, 0.15), (0.22, 0.14, 0.11),
    ]
)  # fmt: skip
_HAIRS = np.array(
    [(0.06, 0.05, 0.05), (0.14, 0.09, 0.07), (0.26, 0.17, 0.11), (0.42, 0.30, 0.18), (0.62, 0.48, 0.30),
     (0.45, 0.20, 0.10), (0.55, 0.54, 0.53), (0.80, 0.79, 0.77)]
)  # fmt: skip
_IRISES = np.array(
    [(0.20, 0.12, 0.07), (0.30, 0.19, 0.10), (0.38, 0.30, 0.17), (0.33, 0.38, 0.25), (0.36, 0.45, 0.54),
     (0.45, 0.50, 0.52)]
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Skin:
    """A painted person: ``picture (S,S,4)`` uint8 in the canonical atlas, row 0 its top.

    The fourth channel is 255 on skin (whose tint may be changed as it is drawn) and 0 on eyes, teeth and the like.
    ``tone`` and ``hair`` sRGB 0…1.
    """

    picture: NDArray[np.uint8]
    tone: NDArray[np.float64]
    hair: NDArray[np.float64]


def paint(canvas: Canvas, random: np.random.Generator, photographs: Sequence[FaceTexture] = ()) -> Skin:
    """Draw a person; where ``photographs`` are given, half of them carry the skin of one."""
    photograph = photographs[random.integers(len(photographs))] if photographs and random.random() < 0.5 else None
    tone = _between(_SKINS, random.uniform(0, len(_SKINS) - 1)) * random.normal(1, (0.02, 0.03, 0.04))
    if photograph is not None:
        tone = photograph.skin_tone.astype(np.float64)
    hair = _HAIRS[random.integers(3)] if tone[0] < 0.65 and random.random() < 0.85 else _between(
        _HAIRS, random.uniform(0, len(_HAIRS) - 1)
    )  # fmt: skip
    noise = _Noise(canvas, random)
    colors = _skin(canvas, tone, hair, noise, random)
    picture = canvas.picture(colors)
    if photograph is not None:
        picture = _over(photograph, picture)
    inside = _inside(canvas, tone, noise, random)
    whole = canvas.picture(inside)
    share = whole[..., 3:4]
    rgb = picture * (1 - share) + whole[..., :3] * share
    alpha = 255 * (1 - share)
    rgb = np.clip(rgb * 255 + 0.5, 0, 255)
    return Skin(np.concatenate([rgb, alpha], axis=2).astype(np.uint8), tone, hair)


class _Noise:
    """Smooth noise in space, so that the atlas's stretching does not show, by the size of its blobs in millimetres."""

    def __init__(self, canvas: Canvas, random: np.random.Generator) -> None:
        self._canvas, self._random = canvas, random

    def __call__(self, size_mm: float) -> F32:
        """Values (n,) of unit variance."""
        if size_mm < 1.5:  # finer than a texel's reach in space anyway
            return self._random.standard_normal(len(self._canvas.flat), dtype=np.float32)
        grid = self._random.standard_normal((32, 32, 32), dtype=np.float32)
        values = map_coordinates(grid, (self._canvas.face / size_mm * 1.5).T % 32, order=1, mode="grid-wrap")
        return np.asarray(values / values.std(), np.float32)


def _skin(
    canvas: Canvas, tone: NDArray[np.float64], hair: NDArray[np.float64], noise: _Noise, random: np.random.Generator
) -> F32:
    x, y, z = np.abs(canvas.face[:, 0]), canvas.face[:, 1], canvas.face[:, 2]
    blood = tone * (1.0, 0.76, 0.74)
    fine, mottled, broad = noise(1), noise(9), noise(50)
    grain = random.uniform(0.01, 0.04) * fine + random.uniform(0.005, 0.03) * mottled + 0.03 * broad
    colors: F32 = np.asarray(tone * (1 + grain[:, None]), np.float32)
    cheeks = _bump(x, 38, 17) * _bump(y, -36, 15) * (z > -30) + _bump(x, 0, 12) * _bump(y, -40, 11) * (z > 20)
    flush = np.clip((cheeks + 0.3 * broad * random.random()) * random.uniform(0.1, 0.8), 0, 1)
    colors = _mix(colors, blood, flush)
    sockets = _bump(x, 30, 20) * _bump(y, -4, 15) * (z > -15)
    colors = _mix(colors, tone * (0.72, 0.62, 0.62), random.uniform(0.15, 0.7) * sockets)
    under = _bump(x, 29, 15) * _bump(y, -19 - random.uniform(0, 4), 5) * (z > -10)
    colors = _mix(colors, tone * (0.66, 0.55, 0.58), random.uniform(0, 0.5) * under)
    folds = _bump(x - 0.35 * (-y - 40), 22, 3.0) * _bump(y, -58, 16) * (z > 0)
    colors = _mix(colors, tone * (0.68, 0.56, 0.54), random.uniform(0, 0.45) * folds)
    colors = _marks(colors, canvas, tone, noise, random)
    colors = _stubble(colors, canvas, hair, fine, random)
    nostrils = _bump(x, 8, 4) * _bump(y, -47, 3) * (z > 18)
    colors = _mix(colors, tone * 0.25, nostrils)
    rosy = np.array((0.95, random.uniform(0.55, 0.78), random.uniform(0.55, 0.8))) * tone * random.uniform(0.78, 1.0)
    if random.random() < 0.12:  # lipstick
        rosy = np.array((random.uniform(0.4, 0.85), random.uniform(0.05, 0.25), random.uniform(0.1, 0.35)))
    lips = np.clip(_lips(canvas.face) / 2.5 + 0.5, 0, 1).astype(np.float32) * random.uniform(0.6, 1.0)
    colors = _mix(colors, rosy * (1 + 0.05 * fine[:, None]), lips)
    return _brows_and_lids(colors, canvas, hair, fine, random)


def _lips(face: F32) -> NDArray[np.float64]:
    """``lip_depth`` that falls off beside the corners of the mouth too."""
    return lip_depth(face) - np.clip(np.abs(face[:, 0]) - 25.5, 0, 20)


def _marks(colors: F32, canvas: Canvas, tone: NDArray[np.float64], noise: _Noise, random: np.random.Generator) -> F32:
    """Freckles, moles and blotches."""
    if random.random() < 0.25:
        freckles = np.clip(noise(2.2) - random.uniform(1.2, 2.0), 0, 1) * random.uniform(0.3, 0.8)
        colors = _mix(colors, tone * (0.68, 0.52, 0.42), freckles * _bump(canvas.face[:, 1], -30, 45))
    for _ in range(random.poisson(2.5)):
        centre = canvas.face[random.integers(len(canvas.face))]
        distance = np.sqrt(((canvas.face - centre) ** 2).sum(axis=1))
        colors = _mix(colors, tone * random.uniform(0.3, 0.7), np.clip(random.uniform(0.8, 2.2) - distance, 0, 1))
    if random.random() < 0.4:
        colors = _mix(colors, tone * (0.95, 0.66, 0.64), np.clip(noise(12) - 1.0, 0, 1) * random.uniform(0.1, 0.5))
    return colors


def _stubble(colors: F32, canvas: Canvas, hair: NDArray[np.float64], fine: F32, random: np.random.Generator) -> F32:
    """A shaven or stubbly chin, cheeks and upper lip."""
    if random.random() < 0.5:
        return colors
    beard = beard_area(canvas.face) * random.uniform(0.1, 0.65)
    beard = beard * np.clip(0.8 + 0.5 * fine, 0, 1.5) * np.clip(-_lips(canvas.face) - 0.5, 0, 1)
    return _mix(colors, 0.55 * hair + 0.25 * colors.mean(axis=0), np.clip(beard, 0, 1))


def beard_area(face: NDArray[np.floating[Any]]) -> F32:
    """0…1 (n,) where a full beard grows, at points (n,3) of ``face_coordinates``."""
    x, y, z = np.abs(face[:, 0]), face[:, 1], face[:, 2]
    line = -52 + 0.75 * np.clip(x - 20, 0, 60)  # from below the nose up to the sideburns
    below = np.clip((line - y) / 14, 0, 1) * np.clip((y + 135) / 12, 0, 1)
    return np.asarray(below * np.clip((z + 62) / 25, 0, 1), np.float32)


def _brows_and_lids(
    colors: F32, canvas: Canvas, hair: NDArray[np.float64], fine: F32, random: np.random.Generator
) -> F32:
    lifted = canvas.face - (0, random.uniform(-1.5, 2.0), 0)
    thickness = random.uniform(-1.8, 2.0)
    strands = 0.8 * fine * random.uniform(0.3, 1.2)
    brows = np.clip((brow_depth(lifted) + thickness + strands) / 2.5 + 0.3, 0, 1) * random.uniform(0.25, 0.95)
    colors = _mix(colors, hair * random.uniform(0.7, 1.1), brows.astype(np.float32))
    if random.random() < 0.2:  # paint on the upper lids
        x, y, z = np.abs(canvas.face[:, 0]), canvas.face[:, 1], canvas.face[:, 2]
        area = _bump(x, 31, 17) * _bump(y, 9, 6) * (z > -10)
        colors = _mix(colors, random.uniform(0.05, 0.6, 3), area * random.uniform(0.2, 0.7))
    return colors


def _inside(canvas: Canvas, tone: NDArray[np.float64], noise: _Noise, random: np.random.Generator) -> F32:
    """Colours and coverage (n,4) of what is not skin."""
    out = np.zeros((len(canvas.flat), 4), np.float32)
    flesh = np.array((0.62, 0.33, 0.31)) * random.uniform(0.7, 1.1)
    deep = np.clip((canvas.face[:, 2] + 40) / 70, 0.1, 1.0)[:, None]
    lash = np.array((0.12, 0.08, 0.07)) * random.uniform(0.3, 2.5)
    for name, color, shade in (
        ("mouth_bag", flesh * 0.7, deep),
        ("tongue", flesh * (1.1, 1.05, 1.05), deep),
        ("gums", flesh, deep),
        ("eye_sockets", tone * (0.75, 0.5, 0.48), 1.0),
        ("teeth", np.array((0.90, 0.86, 0.78)) * random.uniform(0.75, 1.02), np.clip(deep * 1.3, 0, 1)),
        ("lashes", lash, 1.0),
    ):
        where = canvas.parts.get(name)
        if where is not None:
            out[where, :3] = np.broadcast_to(color * shade, out[:, :3].shape)[where]
            out[where, 3] = 1
    iris = _between(_IRISES, random.uniform(0, 1.5 if tone[0] < 0.6 else len(_IRISES) - 1))
    white = np.array((0.90, 0.87, 0.85)) * random.uniform(0.78, 1.03)
    limbus = iris * random.uniform(0.3, 0.8)
    palette = Palette(
        sclera=_color(white),
        iris=_color(iris),
        limbus=_color(limbus),
        pupil=(0.02, 0.02, 0.02),
    )
    balls = canvas.parts["left_eyeball"] | canvas.parts["right_eyeball"]
    around = canvas.from_eye[balls]
    streaks = 1 + 0.06 * noise(1.6)[balls, None] * random.random()
    veins = np.clip(np.linalg.norm(around[:, :2], axis=1) / 0.012 - 0.5, 0, 1)[:, None] * random.uniform(0, 0.25)
    out[balls, :3] = eye_colors(around, palette) * streaks * (1 - veins * (0.1, 0.8, 0.8))
    out[balls, 3] = 1
    return out


def _over(photograph: FaceTexture, picture: F32) -> F32:
    size = (CANVAS, CANVAS)
    color = cv2.resize(photograph.color, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    share = cv2.resize(photograph.coverage, size, interpolation=cv2.INTER_AREA)[..., None]
    return np.asarray(share * color + (1 - share) * picture, np.float32)


def _color(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = np.clip(values, 0, 1)
    return float(red), float(green), float(blue)


def _between(colors: NDArray[np.float64], place: float) -> NDArray[np.float64]:
    low = min(int(place), len(colors) - 2)
    return np.asarray(colors[low] + (place - low) * (colors[low + 1] - colors[low]))


def _bump(value: NDArray[np.floating[Any]], centre: float, width: float) -> F32:
    return np.asarray(np.exp(-(((value - centre) / width) ** 2)), np.float32)


def _mix(colors: F32, other: NDArray[np.floating[Any]], amount: NDArray[np.floating[Any]]) -> F32:
    return np.asarray(colors + np.asarray(amount, np.float32)[:, None] * (other - colors), np.float32)
