"""An aligner's points as they really lie on the head: the mean misfit over neutral portraits, as head-space offsets.

Lifting MediaPipe's points from renderings of the head puts them where MediaPipe sees them on renderings. On photographs
they lie up to a few millimetres elsewhere, always in the same direction; that mean is taken out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.fitting import EnergyWeights, FitOptions, FitResult, View, fit_take
from backend.head_model.builder.landmarks import apply_calibration
from backend.head_model.model import HeadModel, posed_vertices, surface_positions
from backend.observations import Alignment, ViewAlignment
from backend.point_calibration.photos import AlignedPortrait

F64 = NDArray[np.float64]

# Calibration measures misfit, so one portrait's outliers must not be explained away by odd expressions or a wild
# focal length: the sets were shot with portrait lenses from about 1–2 m.
PORTRAIT_OPTIONS = FitOptions(weights=EnergyWeights(focal_weight=20.0), usual_focal=2.5, neutral=True)
ROUNDS = 2  # the identity explains a little less of the offsets each time; a third round would move points < 0.1 mm


@dataclass(frozen=True, eq=False)
class PortraitFit:
    """One fitted portrait: head-space misfit (N,3) metres (along the view axis: zero) and error (N,) in % IOD."""

    person: str
    offset: F64
    error_percent_iod: F64


def observe(alignment: Alignment, image_size: tuple[int, int]) -> ViewAlignment:
    """One image's alignment as a take of one frame."""
    sets = [replace(s, mu=s.mu[None], sigma=s.sigma[None], valid=s.valid[None]) for s in alignment.point_sets]
    return ViewAlignment.of(*sets, image_size=image_size)


def fitted_points(head: HeadModel, point_set: str, fit: FitResult) -> tuple[F64, F64]:
    """A point set as a fit puts it in the first view's image, (T,N,2) pixels, and its depth, (T,N) metres."""
    vertices = posed_vertices(head, head.neutral(fit.identity), fit.expression, fit.gaze)
    points = surface_positions(head.landmarks[point_set], head.triangles, vertices.astype(np.float64))
    seen_by = fit.cameras[0]
    camera = np.einsum("tij,tnj->tni", fit.head_rotation, points) + fit.head_translation[:, None]
    image = camera[..., :2] / camera[..., 2:] * seen_by.focal_px + np.asarray(seen_by.principal_point)
    return image, camera[..., 2]


def head_space_misfit(head: HeadModel, point_set: str, fit: FitResult, mu: NDArray[np.floating[Any]]) -> F64:
    """(T,N,3) observed ``mu (T,N,2)`` minus fitted point positions in head space, metres, at the fitted points' depth.

    Nothing is known along the view axis: there the misfit is zero. NaN where ``mu`` is.
    """
    image, depth = fitted_points(head, point_set, fit)
    sideways = (mu - image) * depth[..., None] / fit.cameras[0].focal_px
    misfit = np.concatenate([sideways, np.zeros_like(sideways[..., :1])], axis=-1)
    return np.einsum("tij,tni->tnj", fit.head_rotation, misfit)


def fit_portraits(head: HeadModel, aligned: Sequence[AlignedPortrait]) -> list[PortraitFit]:
    """Fit each neutral portrait on its own: identity, pose, focal and gaze."""
    fits = []
    for one in aligned:
        observations = observe(one.alignment, one.image_size)
        fit = fit_take(head, [View(observations)], PORTRAIT_OPTIONS)
        offset = head_space_misfit(head, one.alignment.point_sets[0].id.name, fit, observations.mu)[0]
        fits.append(PortraitFit(one.portrait.person, offset, fit.reprojection_error_percent_iod[0, 0]))
    return fits


def mean_offset(offsets: F64, mirror: NDArray[np.integer[Any]]) -> F64:
    """(N,3) median of head-space offsets (n,N,3) over portraits, made mirror-symmetric.

    ``mirror (N,)`` is each point's partner on the other side (itself on the midline); x flips between partners.
    """
    offset = np.median(offsets, axis=0)
    flipped = offset[mirror] * [-1.0, 1.0, 1.0]
    return np.asarray(0.5 * (offset + flipped))


def calibrate(head: HeadModel, aligned: Sequence[AlignedPortrait], mirror: NDArray[np.integer[Any]]) -> F64:
    """(478,3) metres in head space: how far ``mediapipe478`` has to move from where it is now on ``head``."""
    home = _positions(head)
    total = np.zeros((len(home), 3))
    for _ in range(ROUNDS):
        now = moved(head, total)
        fits = fit_portraits(now, aligned)
        # from where a point came to lie, or a step that leads off the surface would be taken over and over
        total = _positions(now) - home + mean_offset(np.array([fit.offset for fit in fits]), mirror)
    return total


def _positions(head: HeadModel) -> F64:
    points = head.landmarks["mediapipe478"]
    return surface_positions(points, head.triangles, head.template).astype(np.float64)


def moved(head: HeadModel, displacement: F64) -> HeadModel:
    """The head with its ``mediapipe478`` moved by ``displacement (478,3)`` along the surface."""
    points = apply_calibration(head, head.landmarks["mediapipe478"], displacement)
    return replace(head, landmarks={**head.landmarks, "mediapipe478": points})
