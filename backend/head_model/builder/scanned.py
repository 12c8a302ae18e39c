"""Widens MakeHuman's identities by people who were scanned: ICT-FaceKit's mean and modes on the open head's vertices.

``scanned_identities.npz`` is a measurement, like ``mediapipe_lift.npz``: ``backend.point_calibration.identities`` lays
the open head over ICT-FaceKit and carries its training modes (and only those) over. MakeHuman's sliders describe adults
as artists think of them; scans say how faces vary, but this archive's say it of 50 modes only. The two are mixed as two
populations would be, so the result is still one normal distribution: of a share α of scanned people and 1 − α others,
mean and covariance are

    μ = (1 − α) μ₀ + α μ₁,    Σ = (1 − α) Σ₀ + α Σ₁ + α (1 − α) (μ₁ − μ₀)(μ₁ − μ₀)ᵀ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.head_model.builder.actions import mirrored
from backend.head_model.builder.identity import COMPONENTS, IdentitySpace, principal
from backend.head_model.rigid import similarity_between

F64 = NDArray[np.float64]

SCANNED = Path(__file__).with_name("scanned_identities.npz")

SHARE = 0.35
"""α. People made from left-out modes, seen by their landmarks from the front, are fitted to 3.0 mm with MakeHuman's
identities alone, to 2.1 mm with α from 0.3 to 0.5 and to 2.5 mm with 0.9; MakeHuman's own people get 6 to 13 % worse
with α from 0.3 to 0.5 and 65 % with 0.9 (dense distance on the face, size included)."""


@dataclass(frozen=True, eq=False)
class ScannedPeople:
    """Mean (V,3), metres in some pose, and modes (n,V,3), metres per standard deviation."""

    mean: F64
    modes: F64


def read_scanned() -> ScannedPeople:
    """The committed measurement."""
    with np.load(SCANNED, allow_pickle=False) as data:
        return ScannedPeople(data["mean"].astype(np.float64), data["modes"].astype(np.float64) * float(data["scale"]))


def mixed_space(
    space: IdentitySpace,
    people: ScannedPeople,
    mirror: NDArray[np.int64],
    weight: NDArray[np.float64],
    share: float = SHARE,
    count: int = COMPONENTS,
) -> IdentitySpace:
    """The identity space ``space`` mixed with ``people``, of whom there are ``share``.

    Again exactly symmetric and antisymmetric components of unit variance, largest first, by weights (V,) on squared
    distances.
    """
    mean = onto(people.mean, space.mean, weight)
    apart = mean - space.mean
    apart = (apart + mirrored(apart, mirror)) / 2
    modes = without_rigid(people.modes, space.mean, weight)
    reflected = mirrored(modes, mirror)
    flip = mirrored(space.basis, mirror)
    old_symmetric = np.abs(space.basis - flip).max(axis=(1, 2)) < np.abs(space.basis + flip).max(axis=(1, 2))
    symmetric = [
        np.sqrt(1 - share) * space.basis[old_symmetric],
        np.sqrt(share) * (modes + reflected) / 2,
        np.sqrt(share * (1 - share)) * apart[None],
    ]
    skewed = [np.sqrt(1 - share) * space.basis[~old_symmetric], np.sqrt(share) * (modes - reflected) / 2]
    scale = np.sqrt(weight / weight.sum())[None, :, None]
    found: list[tuple[float, F64]] = []
    total = 0.0
    for part in (np.concatenate(symmetric), np.concatenate(skewed)):
        total += float(np.sum((part * scale) ** 2))
        found += principal(part * np.sqrt(len(part)), scale, count)
    found.sort(key=lambda item: -item[0])
    values = np.array([value for value, _ in found[:count]])
    return IdentitySpace(
        space.mean + share * apart, np.stack([component for _, component in found[:count]]), values / total
    )


def onto(points: F64, target: F64, weight: NDArray[np.float64]) -> F64:
    """Points (V,3) turned and moved, not scaled, onto ``target (V,3)``, weights (V,) on squared distances."""
    return similarity_between(points, target, weight, scaled=False).apply(points)


def without_rigid(offsets: F64, at: F64, weight: NDArray[np.float64]) -> F64:
    """Offsets (n,V,3) without what merely moves or turns the head ``at (V,3)`` as a whole: the pose says that."""
    share = weight / weight.sum()
    around = at - share @ at
    moves = np.stack([*(np.tile(axis, (len(at), 1)) for axis in np.eye(3)), *(np.cross(a, around) for a in np.eye(3))])
    root = np.sqrt(share)[:, None]
    system = (moves * root).reshape(6, -1).T
    amount = np.linalg.lstsq(system, (offsets * root).reshape(len(offsets), -1).T, rcond=None)[0]
    return np.asarray(offsets - np.tensordot(amount.T, moves, axes=1))
