"""A face-like patch with a nose, meshed as finely as a test likes, whose material points move in a known way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from backend.evaluation.types import MeshSequence

F64 = NDArray[np.float64]
Motion = Callable[[F64, F64], F64]
"""(material coordinates (V,2) in -1…1, positions at rest (V,3)) to positions (T,V,3), metres, camera space."""

EXTENT = 1.1  # radians to each side
CENTRE = np.array([0.0, 0.0, 0.6])


def resting(material: F64) -> F64:
    """(V,3) an ellipsoid with a nose towards the camera, 15 cm wide and 22 cm high; material (0,0) is the nose."""
    longitude, latitude = material[:, 0] * EXTENT, material[:, 1] * EXTENT
    bump = 0.02 * np.exp(-(longitude**2 / 0.06 + latitude**2 / 0.1))
    outwards = np.stack(
        [np.sin(longitude) * np.cos(latitude), np.sin(latitude), -np.cos(longitude) * np.cos(latitude)], axis=1
    )
    return outwards * (np.array([0.075, 0.11, 0.09]) + bump[:, None]) + CENTRE


def grid(columns: int, rows: int) -> tuple[F64, NDArray[np.int32]]:
    """Material coordinates (V,2) and triangles (F,3), counter-clockwise seen from the camera's side (y points down)."""
    u, v = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1)
    a, b, c, d = first, first + 1, first + columns, first + columns + 1
    triangles = np.stack([a, c, b, b, c, d], axis=1).reshape(-1, 3)
    return np.stack([u.reshape(-1), v.reshape(-1)], axis=1), triangles.astype(np.int32)


def landmarks68(columns: int, rows: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Sixty-eight fixed material points as triangle and barycentric weights of ``grid``, spread over the patch."""
    material = np.random.default_rng(5).uniform(-0.8, 0.8, (68, 2))
    material[[36, 39, 42, 45, 33, 48, 54]] = [
        [-0.6, -0.4], [-0.2, -0.4], [0.2, -0.4], [0.6, -0.4], [0, 0.1], [-0.35, 0.5], [0.35, 0.5],
    ]  # fmt: skip
    across = (material + 1) / 2 * [columns - 1, rows - 1]
    cell = np.minimum(across.astype(int), [columns - 2, rows - 2])
    u, v = (across - cell).T
    upper = u + v <= 1
    _, triangles = grid(columns, rows)
    triangle = 2 * (cell[:, 1] * (columns - 1) + cell[:, 0]) + ~upper
    first = cell[:, 1] * columns + cell[:, 0]
    weights_of = np.where(
        upper[:, None], np.stack([1 - u - v, u, v, 0 * u], 1), np.stack([0 * u, 1 - v, 1 - u, u + v - 1], 1)
    )
    corners = first[:, None] + [0, 1, columns, columns + 1]
    weights = np.zeros((68, 3))
    for k in range(3):
        weights[:, k] = (weights_of * (corners == triangles[triangle, k][:, None])).sum(axis=1)
    return triangle.astype(np.int32), weights.astype(np.float32)


def still(_: F64, rest: F64) -> F64:
    """Twelve frames in which nothing moves."""
    return np.repeat(rest[None], 12, axis=0)


def drifting(velocity: tuple[float, float], frames: int = 12, focal: float = 500.0) -> Motion:
    """Every image position moves by ``velocity`` pixels per frame."""

    def motion(_: F64, rest: F64) -> F64:
        shift = np.arange(frames)[:, None, None] * np.array([*velocity, 0.0]) / focal
        return rest + shift * rest[:, 2:]

    return motion


def sequence(motion: Motion = still, columns: int = 40, rows: int = 48, focal: float = 500.0) -> MeshSequence:
    """The patch in motion before a 256² camera; regions are boxes in the material; the neutral is at rest."""
    material, triangles = grid(columns, rows)
    rest = resting(material)
    vertices = motion(material, rest).astype(np.float32)
    u, v = material.T
    return MeshSequence(
        vertices=vertices,
        triangles=triangles,
        focal_px=np.full(len(vertices), focal),
        principal_point=np.array([128.0, 128.0]),
        image_size=(256, 256),
        frame_rate=30.0,
        tracked=np.ones(len(vertices), bool),
        regions={
            "face": np.ones(len(u), bool),
            "nose": (np.abs(u) < 0.2) & (np.abs(v) < 0.3),
            "mouth": (np.abs(u) < 0.4) & (v > 0.35) & (v < 0.65),
        },
        neutral=rest.astype(np.float32),
        landmarks68=landmarks68(columns, rows),
    )


def ball(radius: float, centre: tuple[float, float, float], points: int = 3000) -> tuple[F64, NDArray[np.int32]]:
    """Vertices (V,3) and triangles (F,3), seen from outside, of a closed sphere; evenly spread, no two coincide."""
    index = np.arange(points) + 0.5
    height, turn = 1 - 2 * index / points, np.pi * (1 + np.sqrt(5)) * index
    across = np.sqrt(1 - height**2)
    unit = np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)
    triangles = ConvexHull(unit).simplices
    a, b, c = unit[triangles].transpose(1, 0, 2)
    inwards = np.einsum("fc,fc->f", np.cross(b - a, c - a), a) < 0
    triangles[inwards] = triangles[inwards, ::-1]
    return radius * unit + centre, triangles.astype(np.int32)
