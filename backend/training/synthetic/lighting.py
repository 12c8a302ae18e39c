"""Light on a head: a sky that brightens one way, and up to three distant lamps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

LAMPS = 3


@dataclass(frozen=True, eq=False)
class Lighting:
    """In camera space (x right, y down, z forward), linear RGB.

    ``ambient (3,4)``: per channel a constant and its slope along x, y, z of the normal (spherical harmonics to degree
    1); ``directions (LAMPS,3)`` unit vectors towards the lamps and their ``colors (LAMPS,3)``; ``gloss`` of skin. Only
    the first lamp, the brightest as a rule, throws shadows: ``shadow`` in 0…1 how dark, ``penumbra`` how soft, as a
    share of the head's size.
    """

    ambient: F64
    directions: F64
    colors: F64
    gloss: float
    shadow: float = 0.0
    penumbra: float = 0.0


def draw_lighting(random: np.random.Generator) -> Lighting:
    """Daylight, a lamp to one side, two lamps, light from behind, or a dim room; exposed so that a face is visible."""
    tints = 1 + _warmth(random, 0.22) * np.array([[1.0], [-0.6], [0.3]])
    level = random.uniform(0.15, 0.6)
    sky = random.normal((0, -0.35, -0.1), 0.35)
    ambient = level * np.column_stack([np.ones(3), np.tile(sky, (3, 1)) * random.uniform(0.2, 1.0)]) * tints[0][:, None]
    angles = random.uniform(-1.5, 1.5, LAMPS) * (1, 1, 0.6)
    behind = np.array((-1, -1, 1 if random.random() < 0.5 else -1))
    heights = -random.uniform(-0.25, 1.1, LAMPS)
    directions = np.column_stack([np.sin(angles), heights, np.cos(angles) * behind])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    strength = np.array(
        (random.uniform(0.3, 1.3), random.uniform(0, 0.5) * (random.random() < 0.7), random.uniform(0, 0.7) *
         (random.random() < 0.5))
    )  # fmt: skip
    colors = strength[:, None] * tints
    # A camera exposes for the face: bright lamps do not come with a bright sky.
    total = level + 0.55 * strength[0] + 0.3 * strength[1]
    exposure = random.uniform(0.4, 1.0) / total
    gloss, shadow, penumbra = random.uniform(0.2, 1.6), random.uniform(0.5, 1.0), random.uniform(0.002, 0.012)
    return Lighting(ambient * exposure, directions, colors * exposure, gloss, shadow, penumbra)


def _warmth(random: np.random.Generator, most: float) -> F64:
    warm = random.normal(0, most / 2)
    return np.array([warm, random.normal(0, 0.02), -warm * 1.2])
