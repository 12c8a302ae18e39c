"""What a solve in part is to hold to, in the terms of the fit: indices of frames, views and unknowns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SurfacePin:
    """A surface point and where it is at the take's frame ``frame`` in the view ``view``, by their indices.

    ``triangle`` counts in ``HeadModel.triangles``; ``position`` are pixels as an ideal pinhole camera sees them, and
    ``sigma`` is its standard deviation there.
    """

    view: int
    frame: int
    triangle: int
    barycentric: tuple[float, float, float]
    position: tuple[float, float]
    sigma: float

    @property
    def point(self) -> tuple[int, int, tuple[float, float, float]]:
        """The view and the surface point: pins that share them are of one point at several times."""
        return self.view, self.triangle, self.barycentric


class Unknown(StrEnum):
    """The kinds of unknowns that can be held."""

    EXPRESSION = "expression"
    GAZE = "gaze"
    ROTATION = "rotation"
    TRANSLATION = "translation"


@dataclass(frozen=True)
class HeldValue:
    """The value of an unknown at the take's frame ``frame``, an index.

    ``place`` is the expression's, or the eye's (0 left, 1 right). ``value`` is a strength, (yaw, pitch) radians, an
    axis-angle vector or a position in metres.
    """

    frame: int
    kind: Unknown
    value: tuple[float, ...]
    place: int = 0

    @property
    def channel(self) -> tuple[Unknown, int]:
        """What it is a value of."""
        return self.kind, self.place


@dataclass(frozen=True, eq=False)
class Corrections:
    """All that a take is to hold to. ``ignored`` says of each view which of its points (T,N) are hidden, () nowhere."""

    pins: tuple[SurfacePin, ...] = ()
    held: tuple[HeldValue, ...] = ()
    ignored: tuple[NDArray[np.bool_], ...] = field(default=())

    @property
    def hiding(self) -> NDArray[np.bool_] | None:
        """(T,) frames in which anything is ignored; None where nothing ever is."""
        found = [view.any(axis=1) for view in self.ignored]
        return np.asarray(np.logical_or.reduce(found)) if found and any(f.any() for f in found) else None
