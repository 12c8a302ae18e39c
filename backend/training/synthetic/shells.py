"""Hair, beards and caps: layers over the skin of a head, laid out on the open head's own triangles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import face_coordinates
from backend.head_model.model import HeadModel
from backend.training.synthetic.skins import beard_area

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Int = NDArray[np.int32]

STRANDS = 256
"""Side of a picture of strands, texels."""

_UNDER = -0.004  # metres under the skin, where a layer is not


@dataclass(frozen=True, eq=False)
class Shell:
    """A part of the open head's skin that something may lie on: n of its vertices, as ``index (n,)``.

    ``triangles (F,3)`` and ``uv (n,2)`` along and across strands; ``face (n,3)`` as ``face_coordinates`` of the
    template, mm.
    """

    index: NDArray[np.intp]
    triangles: Int
    uv: F32
    face: F32


@dataclass(frozen=True, eq=False)
class Layer:
    """Cover on a shell: ``vertices (n,3)`` in head space, metres, and how much of it there is, ``amount (n,)``."""

    vertices: F32
    amount: F32


def make_shells(head: HeadModel) -> dict[str, Shell]:
    """``scalp`` (all that hair or a cap may cover, down to the brows) and ``chin`` of the open head."""
    face = face_coordinates(head, head.template)
    outer = head.regions["skin"] & ~head.regions["mouth_bag"] & ~head.regions["eye_sockets"] & ~head.regions["ears"]
    x, y, z = np.abs(face[:, 0]), face[:, 1], face[:, 2]
    scalp = outer & ((y > 8) | ((z < -55) & (y > -75 - 0.3 * x))) & ~head.regions["lids"]
    return {
        "scalp": _shell(head, scalp, face),
        "chin": _shell(head, outer & (beard_area(face) > 0) & ~head.regions["lips"], face),
    }


def _shell(head: HeadModel, mask: NDArray[np.bool_], face: F64) -> Shell:
    triangles = head.triangles[mask[head.triangles].any(axis=1)]
    skin = head.regions["skin"] & ~head.regions["eye_sockets"] & ~head.regions["mouth_bag"]
    triangles = triangles[skin[triangles].all(axis=1)]
    index, place = np.unique(triangles, return_inverse=True)
    own = face[index]
    across = np.arctan2(own[:, 0], -own[:, 2] - 75) / np.pi
    return Shell(
        index.astype(np.intp),
        place.reshape(-1, 3).astype(np.int32),
        np.column_stack([3 * across, own[:, 1] / 160]).astype(np.float32),
        own.astype(np.float32),
    )


def hair(shell: Shell, skin: F64, normals: F64, random: np.random.Generator) -> Layer:
    """Short or full hair on the scalp, with or without a fringe; skin and normals (V0,3) are the open head's."""
    x, y, z = np.abs(shell.face[:, 0]), shell.face[:, 1], shell.face[:, 2]
    side = shell.face[:, 0]
    line = random.uniform(48, 72) + 0.15 * random.normal() * side
    if random.random() < 0.35:  # a fringe, straight or swept to one side
        line = random.uniform(14, 45) + random.uniform(-0.35, 0.35) * side
    above = (y - line + 0.004 * np.minimum(x, 70) ** 2) / 10
    behind = np.where(y > random.uniform(-75, -40), (-z - 58 - 0.25 * np.clip(y, -60, 60)) / 10, -5)
    recede = random.uniform(0, 1.6) * np.exp(-(((x - 32) / 14) ** 2)) * (y > 45) * (random.random() < 0.4)
    edge = np.maximum(above - recede, np.where(x > 25, behind, -5))
    amount = np.clip(0.5 + 0.5 * edge, 0, 1.5)
    lumps = _lumps(shell.face, random, random.uniform(20, 45))
    volume = random.choice((0.003, 0.010, 0.022)) * random.uniform(0.6, 1.5)
    volume = volume * (1 + 0.35 * lumps) * (1 + 0.4 * np.clip(y / 100, -0.5, 1))
    grown = np.clip(edge, 0, 1.2)
    out = np.where(amount > 0.05, _UNDER * (1 - np.clip(amount, 0, 1)) + volume * grown + 0.0015, _UNDER)
    return Layer(_raised(shell, skin, normals, out), amount.astype(np.float32))


def beard(shell: Shell, skin: F64, normals: F64, random: np.random.Generator) -> Layer:
    """A full beard, a goatee or a moustache."""
    x, y = np.abs(shell.face[:, 0]), shell.face[:, 1]
    amount = beard_area(shell.face).astype(np.float64)
    kind = random.random()
    if kind < 0.35:
        amount *= np.clip((random.uniform(26, 38) - x) / 6, 0, 1)
    elif kind < 0.5:
        amount *= np.clip((y + 72) / 5, 0, 1) * np.clip((34 - x) / 6, 0, 1)
    amount *= random.uniform(0.8, 1.4)
    length = random.choice((0.002, 0.006, 0.015)) * random.uniform(0.6, 1.4)
    lumps = _lumps(shell.face, random, 18)
    lift = length * np.clip(2 * amount - 1, 0, 1) * (1 + 0.3 * lumps) * (1 + np.clip((-y - 75) / 40, 0, 1))
    vertices = _raised(shell, skin, normals, np.where(amount > 0.05, 0.0006 + lift, _UNDER))
    vertices[:, 1] -= 0.7 * lift * (y < -85)
    return Layer(vertices, amount.astype(np.float32))


def cap(shell: Shell, skin: F64, normals: F64, random: np.random.Generator) -> tuple[Layer, float]:
    """A knitted or peaked cap, and the height (mm of ``face_coordinates``) of its rim in front."""
    y, z = shell.face[:, 1], shell.face[:, 2]
    rim = random.uniform(24, 58)
    line = rim - random.uniform(0.0, 0.35) * (40 - z)
    amount = np.clip(0.5 + (y - line) / 6, 0, 1.5)
    thick = random.uniform(0.006, 0.016) * (1 + 0.25 * _lumps(shell.face, random, 50))
    out = np.where(amount > 0.1, thick * np.clip(amount * 2, 0, 1), _UNDER)
    return Layer(_raised(shell, skin, normals, out), amount.astype(np.float32)), rim


def strands(random: np.random.Generator, straight: float) -> NDArray[np.uint8]:
    """A picture (STRANDS,STRANDS,4) of hair running down: its brightness, and how far each strand reaches."""
    fine = random.standard_normal((STRANDS // int(2 + 10 * straight), STRANDS), dtype=np.float32)
    fine = cv2.resize(fine, (STRANDS, STRANDS), interpolation=cv2.INTER_CUBIC)
    locks = random.standard_normal((max(2, int(8 * (1 - straight)) + 2), 24), dtype=np.float32)
    locks = cv2.resize(locks, (STRANDS, STRANDS), interpolation=cv2.INTER_CUBIC)
    bright = np.clip(0.72 + 0.10 * fine + 0.10 * locks, 0.25, 1)
    reach = np.clip(0.5 + 0.2 * fine + 0.25 * locks, 0, 1)
    picture = np.stack([bright, bright, bright, reach], axis=2)
    return np.asarray(picture * 255 + 0.5, np.uint8)


def _raised(shell: Shell, skin: F64, normals: F64, height: NDArray[np.floating[Any]]) -> F32:
    return np.asarray(skin[shell.index] + normals[shell.index] * height[:, None], np.float32)


def _lumps(face: F32, random: np.random.Generator, size_mm: float) -> F64:
    """Smooth noise (n,) of about unit variance in space."""
    waves = random.standard_normal((5, 3)) / size_mm
    return np.asarray(np.sin(face @ waves.T * 2.2 + random.uniform(0, 7, 5)).sum(axis=1) * 0.63)
