"""Distant light on matte skin as spherical harmonics of order 2 (Ramamoorthi and Hanrahan 2001, eq. 13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

ROUNDS = 4
DARKEST = 0.15
"""Of the usual shading, what a normal is taken to have at least: order 2 goes below 0 on the side away from a lamp."""
STRAY = 0.12
"""Logarithm off the shading that leaves half of a sample's weight in the fit."""
FIRM = 1.5
"""Views' worth that a place is taken to be of the usual colour: where the light never changes, only that tells the
light from the colour."""
STIFF = 1e-3
"""Share of the mean square that holds each coefficient at 0: normals of one side leave some of them free."""


def harmonics(normals: NDArray[Any]) -> F64:
    """(…,9) the polynomials of order 0 to 2 at unit normals (…,3); the lobe's and the basis' constants are left out."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    return np.stack([np.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], axis=-1)


def shading_change(normals: NDArray[Any], light: F64) -> F64:
    """(…,3) by how much the shading of normals (…,3) changes with each of their coordinates."""
    x, y, z = np.moveaxis(np.asarray(normals, np.float64), -1, 0)
    a = light
    along_x = a[1] + a[4] * y + a[6] * z + 2 * a[7] * x
    along_y = a[2] + a[4] * x + a[5] * z - 2 * a[7] * y
    along_z = a[3] + a[5] * y + a[6] * x + 6 * a[8] * z
    return np.stack([along_x, along_y, along_z], axis=-1)


@dataclass(frozen=True, eq=False)
class Light:
    """``coefficients (9,)`` of ``harmonics`` in the world, and the brightness of the usual shading."""

    coefficients: F64
    usual: float

    def shading(self, normals: NDArray[Any]) -> F64:
        """(…) what light falls on unit normals (…,3), never less than ``DARKEST`` of what is usual."""
        return np.maximum(harmonics(normals) @ self.coefficients, DARKEST * self.usual)

    def even_share(self, normals: NDArray[Any]) -> F64:
        """(…) which share of the light on normals (…,3) comes from all sides alike, 0…1.

        A lamp's mean over all normals is half of its order 1 (Ramamoorthi and Hanrahan 2001: 1/4 + cos/2 + …); what is
        beyond that is even light.
        """
        even = max(0.0, self.coefficients[0] - np.linalg.norm(self.coefficients[1:4]) / 2)
        return np.clip(even / self.shading(normals), 0, 1)


def fit_light(normals: F32, brightness: F32, weight: F32) -> Light:
    """The light of ``brightness (n,P)`` of P places in n pictures, linear, whose unit ``normals (n,P,3)`` are known.

    Each place has a colour of its own that is near the usual one, each picture its exposure; ``weight (n,P)`` is 0
    where nothing is seen. Alternating least squares, robust (Cauchy) to what is neither, such as shadows and gloss.
    """
    basis = harmonics(normals)
    seen = weight > 0
    color = np.ones(brightness.shape[1])
    exposure = np.ones(len(brightness))
    trust = np.asarray(weight, np.float64)
    light = np.zeros(9)
    for _ in range(ROUNDS):
        scale = exposure[:, None] * color
        rows = (basis * scale[..., None] * np.sqrt(trust)[..., None])[seen]
        square = rows.T @ rows
        hold = STIFF * np.trace(square) / 9 * np.diag([0, 1, 1, 1, 2, 2, 2, 2, 2])
        light = np.linalg.solve(square + hold, rows.T @ (brightness * np.sqrt(trust))[seen])
        raw = basis @ light
        usual = float(np.median(raw[seen]))
        shade = np.maximum(raw, DARKEST * usual)
        ratio = np.where(seen, brightness, 1) / np.where(seen, shade * color, 1)
        exposure = _middle(ratio, trust)
        exposure /= np.exp(np.log(exposure).mean())
        own = trust * (shade * exposure[:, None]) ** 2
        found = (trust * shade * exposure[:, None] * brightness).sum(axis=0)
        firm = FIRM * usual**2
        color = (found + firm) / (own.sum(axis=0) + firm)
        off = np.log(np.maximum(ratio / exposure[:, None], 1e-3))
        trust = np.where(seen, weight / (1 + (off / STRAY) ** 2), 0.0)
    return Light(light, usual)


def _middle(ratio: F64, trust: F64) -> F64:
    """(n,) the weighted median of each row."""
    order = np.argsort(ratio, axis=1)
    sums = np.cumsum(np.take_along_axis(trust, order, axis=1), axis=1)
    at = (sums < sums[:, -1:] / 2).sum(axis=1).clip(max=ratio.shape[1] - 1)
    return np.take_along_axis(ratio, np.take_along_axis(order, at[:, None], axis=1), axis=1)[:, 0]
