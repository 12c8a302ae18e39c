"""The points that a take's views speak of together, and what each view saw of them as one array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.fitting.types import FittedPoints, View
from backend.head_model.model import SurfacePoints
from backend.observations import PointSet


@dataclass(frozen=True, eq=False)
class ObservedPoints:
    """The point sets of all views, each once, in the order in which they first appear: N points in all."""

    sets: tuple[FittedPoints, ...]
    surface: tuple[SurfacePoints, ...]

    @classmethod
    def of(cls, views: Sequence[View], landmarks: Mapping[str, SurfacePoints]) -> ObservedPoints:
        """The points that ``views`` speak of on a head with these ``landmarks``.

        Raises ``ValueError`` where two views mean different points by one set.
        """
        sets: dict[FittedPoints, SurfacePoints] = {}
        for view in views:
            for seen in view.alignment.point_sets:
                surface, key = seen.surface_points(landmarks), FittedPoints(seen.id, seen.mu.shape[1])
                if key.count != len(surface) or (key in sets and not _same(sets[key], surface)):
                    raise ValueError(f"all views need the same points in the set {seen.id.name}")
                sets.setdefault(key, surface)
        if len({key.id for key in sets}) < len(sets):
            raise ValueError("all views need the same points in a set")
        return cls(tuple(sets), tuple(sets.values()))

    @property
    def count(self) -> int:
        """N."""
        return sum(own.count for own in self.sets)

    def in_view(self, view: View) -> list[PointSet]:
        """Every set as this view saw it; those it does not speak of with nothing seen."""
        own = {seen.id: seen for seen in view.alignment.point_sets}
        frames = view.alignment.frame_count
        return [own.get(s.id) or PointSet.unseen(s.id, frames, s.count) for s in self.sets]

    def valid(self, view: View) -> NDArray[np.bool_]:
        """(T,N) what a view shows."""
        return np.concatenate([seen.valid for seen in self.in_view(view)], axis=1)

    def stacked(self, views: Sequence[View]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``mu (C,T,N,2)`` pixels and ``precision (C,T,N)`` = 1/σ²; both 0 where a view does not show a point."""
        mu = np.zeros((len(views), views[0].alignment.frame_count, self.count, 2), np.float32)
        precision = np.zeros(mu.shape[:3], np.float32)
        for j, view in enumerate(views):  # view by view: many dense ones would not fit twice
            first = 0
            for seen in self.in_view(view):
                part = slice(first, first + seen.mu.shape[1])
                mu[j, :, part] = np.where(seen.valid[..., None], seen.mu, 0)
                precision[j, :, part] = np.where(seen.valid, 1 / np.square(seen.sigma), 0)
                first = part.stop
        return mu, precision


def _same(a: SurfacePoints, b: SurfacePoints) -> bool:
    return a is b or (np.array_equal(a.triangle, b.triangle) and np.array_equal(a.barycentric, b.barycentric))
