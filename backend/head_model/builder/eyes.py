"""The open head's eyeballs: spheres with rings at the pupil's and the iris's border, looking along +z.

MakeHuman's own eyeballs have 72 vertices, too few to draw an iris on, and look 1.5° outwards. These are spheres with
the same centre and radius, so gaze can turn them without opening a gap at the lids.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SEGMENTS = 24
PUPIL_DEGREES = 8.5
LIMBUS_DEGREES = 21.7
RING_DEGREES = (
    4.5,
    PUPIL_DEGREES,
    9.5,
    13.5,
    17.5,
    20.7,
    LIMBUS_DEGREES,
    23.0,
    33.0,
    46.0,
    62.0,
    82.0,
    105.0,
    130.0,
    155.0,
)
"""Polar angles of the rings from the eye's axis; the iris's border has the 5.85 mm radius of a human's."""

VERTICES_PER_EYE = 2 + SEGMENTS * len(RING_DEGREES)


def unit_eyeball() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Unit sphere (n,3), its first vertex at +z (the pupil's centre), and its triangles (f,3), counter-clockwise."""
    polar = np.radians(RING_DEGREES)[:, None]
    # starts at +y, so that vertex k and vertex −k of a ring are mirror images
    around = 2 * np.pi * np.arange(SEGMENTS)[None] / SEGMENTS
    rings = np.stack(
        [
            np.sin(polar) * np.sin(around),
            np.sin(polar) * np.cos(around),
            np.broadcast_to(np.cos(polar), (len(polar), SEGMENTS)),
        ],
        axis=-1,
    )
    vertices = np.concatenate([[[0.0, 0.0, 1.0]], rings.reshape(-1, 3), [[0.0, 0.0, -1.0]]])
    k = np.arange(SEGMENTS)
    following = (k + 1) % SEGMENTS
    first, last = 1, 1 + (len(RING_DEGREES) - 1) * SEGMENTS
    triangles = [np.stack([np.zeros_like(k), first + following, first + k], axis=1)]
    for quads in ring_quads().reshape(-1, SEGMENTS, 4):
        triangles += [quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]
    triangles.append(np.stack([last + k, last + following, np.full_like(k, len(vertices) - 1)], axis=1))
    return vertices, np.concatenate(triangles)


def ring_quads() -> NDArray[np.int64]:
    """The quads (n,4) between the rings of ``unit_eyeball``, ring after ring; its triangles halve them at 0–2."""
    k = np.arange(SEGMENTS)
    following = (k + 1) % SEGMENTS
    rings = []
    for inner in range(1, 1 + (len(RING_DEGREES) - 1) * SEGMENTS, SEGMENTS):
        outer = inner + SEGMENTS
        quads = np.stack([inner + k, inner + following, outer + following, outer + k], axis=1)
        # the other diagonal on the other half, so that the ball is mirror-symmetric
        quads[SEGMENTS // 2 :] = np.roll(quads[SEGMENTS // 2 :], -1, axis=1)
        rings.append(quads)
    return np.concatenate(rings)


def eyeball_mirror() -> NDArray[np.int64]:
    """For each vertex of ``unit_eyeball``, the one at (−x, y, z)."""
    k = (-np.arange(SEGMENTS)) % SEGMENTS
    rings = 1 + np.arange(len(RING_DEGREES))[:, None] * SEGMENTS + k[None]
    return np.concatenate([[0], rings.ravel(), [VERTICES_PER_EYE - 1]])


def spheres_from(shapes: NDArray[np.floating[Any]], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Eyeball vertices (…,n,3) for MakeHuman eyeballs (…,m,3) with undeformed unit directions ``directions (m,3)``.

    Linear in ``shapes``, so it maps blend-shape offsets as well as positions: the centre is the mean, the radius the
    mean of each vertex's component along its own direction.
    """
    unit, _ = unit_eyeball()
    centre = shapes.mean(axis=-2, keepdims=True)
    radius = np.einsum("...mc,mc->...", shapes - centre, directions) / len(directions)
    return centre + radius[..., None, None] * unit


def centre_weights() -> NDArray[np.float64]:
    """Weights (n,) that sum to 1 and give an eyeball's centre as a combination of its vertices, whatever its size."""
    unit, _ = unit_eyeball()
    system = np.concatenate([unit.T, np.ones((1, len(unit)))])
    return np.linalg.pinv(system) @ np.array([0.0, 0.0, 0.0, 1.0])


def unturned(shapes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Eyeballs (…,n,3), or offsets of eyeballs, with the same centre and size and nothing else: they look along +z.

    What turned a whole head onto another one turned its eyes with it, and a turn of the eyes is what gaze tells.
    """
    unit, _ = unit_eyeball()
    centre = np.einsum("n,...nc->...c", centre_weights(), np.asarray(shapes, np.float64))[..., None, :]
    radius = np.einsum("...nc,nc->...", shapes - centre, unit) / len(unit)
    return np.asarray(centre + radius[..., None, None] * unit)
