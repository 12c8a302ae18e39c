"""Things around a head that are not of its surface: glasses, a cap's peak, hair that hangs, neck and shoulders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Int = NDArray[np.int32]

RIM, TUBE, TEMPLE = 28, 5, 6
CURTAIN = (26, 8)  # around, down
PEAK = (16, 5)
BODY = (28, 9)


@dataclass(frozen=True, eq=False)
class Face:
    """The places where things sit, in head space, metres.

    Eyes' centres ``left``, ``right (3,)``, how far out the face reaches between them (``bridge (3,)``), where temples
    rest on the ``ears (2,3)`` (left, right), the middle of the neck's end ``neck (3,)`` and its ``neck_radii (2,)``
    along x and z, the same of the ``skull`` above the ears; ``size`` over an average head's.
    """

    left: F64
    right: F64
    bridge: F64
    ears: F64
    neck: F64
    neck_radii: F64
    skull: F64
    skull_radii: F64
    size: float


def grid_triangles(columns: int, rows: int, closed: bool = False) -> Int:
    """Triangles of a grid of ``rows`` lines of ``columns`` points, its lines rings where ``closed``."""
    around = np.arange(columns if closed else columns - 1)
    first, second = around, (around + 1) % columns
    down = np.arange(rows - 1)[:, None] * columns
    a, b, c, d = down + first, down + second, down + columns + first, down + columns + second
    return np.concatenate([np.stack(t, axis=2).reshape(-1, 3) for t in ((a, c, b), (b, c, d))]).astype(np.int32)


def smooth_normals(vertices: F64, triangles: Int) -> F64:
    """Unit normals (n,3)."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    each = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(triangles[:, k], each[:, axis], len(vertices))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)


def tube(path: F64, radius: float, closed: bool) -> F64:
    """Points (len(path)·TUBE,3) of a tube around a path (n,3)."""
    ahead = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0) if closed else np.gradient(path, axis=0)
    ahead /= np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), 1e-12)
    helper = np.where(np.abs(ahead[:, 2:3]) < 0.8, (0, 0, 1), (0, 1, 0))
    side = np.cross(ahead, helper)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12)
    over = np.cross(side, ahead)
    angle = np.arange(TUBE) * 2 * np.pi / TUBE
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * over[:, None]
    return (path[:, None] + radius * ring).reshape(-1, 3)


def tube_triangles(points: int, closed: bool) -> Int:
    """Triangles of ``tube``, by the number of points of its path."""
    triangles = grid_triangles(TUBE, points + 1 if closed else points, closed=True)
    return np.asarray(triangles % (points * TUBE), np.int32)


def frame_triangles() -> Int:
    """Triangles of the glasses' frame: two rims, the bridge, two temples."""
    pieces, start = [], 0
    for points, closed in ((RIM, True), (RIM, True), (TEMPLE, False), (TEMPLE, False), (TEMPLE, False)):
        pieces.append(tube_triangles(points, closed) + start)
        start += points * TUBE
    return np.concatenate(pieces)


def lens_triangles() -> Int:
    """Triangles of two lenses, each a fan around its middle, the middles last."""
    around = np.arange(RIM)
    fans = [
        np.stack([np.full(RIM, 2 * RIM + n), n * RIM + around, n * RIM + (around + 1) % RIM], axis=1) for n in range(2)
    ]
    return np.concatenate(fans).astype(np.int32)


def glasses(face: Face, random: np.random.Generator) -> tuple[F64, F64]:
    """Points of the frame and of the lenses (2·RIM+2,3)."""
    angle = np.arange(RIM) * 2 * np.pi / RIM
    squareness = random.uniform(2.0, 4.5)
    c, s = np.cos(angle), np.sin(angle)
    outline = np.sign([c, s]) * np.abs([c, s]) ** (2 / squareness)
    wide, high = random.uniform(0.022, 0.031) * face.size, random.uniform(0.014, 0.026) * face.size
    low = random.uniform(-0.001, 0.007)
    forward = max(face.bridge[2] + random.uniform(0.0, 0.004), face.left[2] + 0.016 + random.uniform(0.002, 0.008))
    gap = random.uniform(0.008, 0.011) * face.size
    rims, middles = [], []
    for eye, sign in ((face.left, 1.0), (face.right, -1.0)):
        middle = np.array([face.bridge[0] + sign * (gap + wide), eye[1] - low, forward])
        rim = middle + np.stack([sign * wide * outline[0], high * outline[1], 0 * c], axis=1)
        rim[:, 2] -= 9.0 * (rim[:, 0] - face.bridge[0]) ** 2 * random.uniform(0.6, 1.0)
        rims.append(rim)
        middles.append(rim.mean(axis=0))
    radius = float(np.exp(random.uniform(np.log(0.0006), np.log(0.0026))))
    raised = np.array([0.0, 0.3 * high, 0.0])
    inner = np.array([rim[np.abs(rim[:, 0] - face.bridge[0]).argmin()] for rim in rims]) + raised
    bridge = np.linspace(inner[0], inner[1], TEMPLE)
    bridge[:, 1] += 0.002 * np.sin(np.linspace(0, np.pi, TEMPLE))
    pieces = [tube(rim, radius, True) for rim in rims] + [tube(bridge, radius, False)]
    for rim, ear in zip(rims, face.ears, strict=True):
        outer = rim[np.abs(rim[:, 0] - face.bridge[0]).argmax()] + raised
        pieces.append(tube(np.linspace(outer, ear, TEMPLE), radius * 1.2, False))
    return np.concatenate(pieces), np.concatenate([*rims, middles])


def peak(face: Face, rim: F64, random: np.random.Generator) -> F64:
    """The peak of a cap whose rim's front is at ``rim (3,)``: PEAK[0]·PEAK[1] points."""
    across = np.linspace(-1, 1, PEAK[0])
    out = np.linspace(0, 1, PEAK[1])[:, None]
    length, droop = random.uniform(0.05, 0.08), random.uniform(0.0, 0.03)
    half = 0.85 * face.skull_radii[0]
    x = half * across * (1 - 0.15 * out)
    z = rim[2] + 0.006 - 0.055 * across**2 + length * out * np.sqrt(np.clip(1.02 - across**2, 0.02, 1))
    y = rim[1] + 0.004 - droop * out - 0.014 * across**2
    return np.stack([x + rim[0], y + 0 * x, z], axis=2).reshape(-1, 3)


def curtain(face: Face, volume: float, random: np.random.Generator) -> F64:
    """Hair hanging from the sides and the back of the skull: CURTAIN[0]·CURTAIN[1] points."""
    opening = random.uniform(0.9, 1.5)  # radians from straight ahead to where it starts, on either side
    angle = np.linspace(opening, 2 * np.pi - opening, CURTAIN[0])[None]
    down = np.linspace(0, 1, CURTAIN[1])[:, None]
    length = random.uniform(0.06, 0.28)
    swell = 1.02 + volume / 0.09 + 0.12 * random.random() * np.sin(np.pi * np.clip(1.3 * down, 0, 1)) - 0.08 * down
    wave = 1 + 0.02 * np.sin(angle * random.integers(3, 9) + 6 * down * random.random() + random.uniform(0, 6))
    x = face.skull[0] + face.skull_radii[0] * swell * wave * np.sin(angle)
    z = face.skull[2] + face.skull_radii[1] * swell * wave * np.cos(angle)
    y = face.skull[1] + 0.045 - length * down + 0 * angle
    return np.stack([x, y, z], axis=2).reshape(-1, 3)


def body(face: Face, turn: F64, random: np.random.Generator) -> F64:
    """Neck and shoulders: BODY[0]·BODY[1] points in head space. ``turn (3,3)``: trunk to head."""
    angle = np.arange(BODY[0]) * 2 * np.pi / BODY[0]
    broad = random.uniform(0.85, 1.15) * face.size
    rx, rz = face.neck_radii
    widths = np.array([0.85 * rx, 0.96 * rx, 1.06 * rx, 0.08 * broad, 0.15 * broad, 0.195 * broad, 0.215 * broad,
                       0.22 * broad, 0.21 * broad])  # fmt: skip
    depths = np.array([0.85 * rz, 0.96 * rz, 1.06 * rz, 0.085, 0.10, 0.115, 0.12, 0.125, 0.125])
    down = np.array([0.03, 0.0, -0.02, -0.035, -0.05, -0.075, -0.11, -0.25, -0.5])
    ring = np.stack([np.sin(angle), np.zeros(BODY[0]), np.cos(angle)], axis=1)
    points = ring[None] * np.stack([widths, 0 * widths, depths], axis=1)[:, None]
    points[..., 1] += down[:, None] + 0.5 * random.uniform(-0.02, 0.01) * np.abs(ring[None, :, 0])
    follows = np.clip((down + 0.03) / 0.03, 0, 1)[:, None, None]  # the neck's upper end turns with the head
    turned = points @ turn.T
    return (face.neck + follows * points + (1 - follows) * turned).reshape(-1, 3)


BODY_SKIN_ROWS = 3
"""The number of the body's rings, from above, that are bare neck."""
