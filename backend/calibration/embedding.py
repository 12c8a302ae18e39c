"""Where an aligner's points really lie on the head: the mean misfit over neutral portraits, as head-space offsets.

Lifting MediaPipe's points from renderings of the head puts them where MediaPipe sees them on renderings. On photographs
they lie up to a few millimetres elsewhere, always in the same direction; that mean is taken out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.types import Alignment
from backend.fitting import EnergyWeights, FitOptions, FitResult, Observations, View, fit_take
from backend.head_model.model import HeadModel, posed_vertices, surface_positions

F64 = NDArray[np.float64]

# Calibration measures misfit, so one portrait's outliers must not be explained away by odd expressions or a wild
# focal length: the sets were shot with portrait lenses from about 1–2 m.
PORTRAIT_OPTIONS = FitOptions(weights=EnergyWeights(focal_weight=20.0), usual_focal=2.5, neutral=True)


@dataclass(frozen=True, eq=False)
class PortraitFit:
    """One fitted portrait: head-space misfit (N,3) metres (along the view axis: zero) and error (N,) in % IOD."""

    person: str
    offset: F64
    error_percent_iod: F64


def observe(alignment: Alignment, image_size: tuple[int, int]) -> Observations:
    """One image's alignment as a take of one frame."""
    return Observations(
        alignment.landmarks, alignment.mu[None], alignment.sigma[None], alignment.valid[None], image_size
    )


def head_space_misfit(head: HeadModel, landmarks: str, fit: FitResult, mu: NDArray[np.float32]) -> F64:
    """(T,N,3) observed minus fitted point positions in head space, metres, at the fitted points' depth."""
    vertices = posed_vertices(head, head.neutral(fit.identity), fit.expression, fit.gaze)
    points = surface_positions(head.landmarks[landmarks], head.triangles, vertices.astype(np.float64))
    seen_by = fit.cameras[0]
    camera = np.einsum("tij,tnj->tni", fit.head_rotation, points) + fit.head_translation[:, None]
    image = camera[..., :2] / camera[..., 2:] * seen_by.focal_px + np.asarray(seen_by.principal_point)
    sideways = (mu - image) * camera[..., 2:] / seen_by.focal_px
    misfit = np.concatenate([sideways, np.zeros_like(sideways[..., :1])], axis=-1)
    return np.einsum("tij,tni->tnj", fit.head_rotation, misfit)


def fit_portraits(
    head: HeadModel,
    alignments: Iterable[tuple[str, Alignment, tuple[int, int]]],
    on_portrait: Callable[[], None] | None = None,
) -> list[PortraitFit]:
    """Fit each neutral portrait ``(person, alignment, image size)`` on its own: identity, pose, focal and gaze."""
    fits = []
    for person, alignment, size in alignments:
        observations = observe(alignment, size)
        fit = fit_take(head, [View(observations)], PORTRAIT_OPTIONS)
        offset = head_space_misfit(head, alignment.landmarks, fit, observations.mu)[0]
        fits.append(PortraitFit(person, offset, fit.reprojection_error_percent_iod[0, 0]))
        if on_portrait is not None:
            on_portrait()
    return fits


def mean_offset(fits: list[PortraitFit], mirror: NDArray[np.integer[Any]]) -> F64:
    """(N,3) median head-space offset over portraits, made mirror-symmetric.

    ``mirror (N,)`` is each point's partner on the other side (itself on the midline); x flips between partners.
    """
    offset = np.median([fit.offset for fit in fits], axis=0)
    flipped = offset[mirror] * [-1.0, 1.0, 1.0]
    return 0.5 * (offset + flipped)
