"""The jaw's outline in a take's energy: it draws the jaw where a picture shows it, and not along itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.fitting import FitOptions, View, fit_take
from backend.fitting.posed import world_vertices
from backend.head_model.model import surface_positions
from backend.observations import PointSet, PointSetId, ViewAlignment
from backend.observations.jaw_outline import load_jaw_outline
from tests.backend.fitting.made_takes import FOCAL_PX, SIDE, Seen, head, performance, view

F64 = NDArray[np.float64]
OUTLINE = load_jaw_outline()
# As sure as MediaPipe's in this size of picture: of the jaw 4 % of the inter-ocular distance, of others 1.
SIGMA = np.where(np.isin(np.arange(478), OUTLINE.points), 6.0, 1.5).astype(np.float32)


def of_mediapipe(seen: ViewAlignment, made_by: str = "mediapipe") -> ViewAlignment:
    (points,) = seen.point_sets
    return replace(seen, point_sets=(replace(points, id=PointSetId("mediapipe478", made_by)),))


def frontal() -> PointSet:
    return view(performance(1), Seen()).alignment.point_sets[0]


def normals() -> F64:
    """(P,2) across the outline of the frontal mean head, away from the face."""
    seen = frontal()
    normal = OUTLINE.normals(seen)[0]
    outwards = OUTLINE.positions(seen)[0] - seen.mu[0].mean(axis=0)
    return normal * np.sign((normal * outwards).sum(axis=1, keepdims=True))


def fitted_jaw(moved: F64, made_by: str) -> F64:
    """(P,2) pixels of the fitted jaw; its seen points lie ``moved (P,2)`` from the mean head's, all others on it."""
    off = np.zeros((478, 2))
    off[OUTLINE.points] = moved
    seen = of_mediapipe(view(performance(1), Seen(noise=off, sigma=SIGMA)).alignment, made_by)
    given = View(seen, view(performance(1), Seen()).camera)
    fitted = fit_take(head(), [given], FitOptions())
    points = surface_positions(head().landmarks["mediapipe478"], head().triangles, world_vertices(head(), fitted))
    jaw = points[0, OUTLINE.points].astype(np.float64)
    return jaw[:, :2] / jaw[:, 2:] * FOCAL_PX + SIDE / 2


def movement(moved: F64, made_by: str) -> F64:
    """(P,2) pixels by which the fitted jaw moves when its seen points do."""
    return fitted_jaw(moved, made_by) - fitted_jaw(np.zeros_like(moved), made_by)


def test_a_jaw_that_is_too_narrow_is_drawn_outwards() -> None:
    """Seen 5 px wider than the mean head's by points that are 6 px unsure."""
    across = normals()
    # what was measured of one aligner's points says nothing of another's
    told, untold = (
        float((movement(5 * across, maker) * across).sum(axis=1).mean()) for maker in ("mediapipe", "somebody")
    )
    assert told > 2.5 * untold > 0  # 0.57 px and 0.16 px


def test_points_that_slid_along_the_outline_pull_nothing() -> None:
    across = normals()
    along = across @ np.array([[0.0, 1.0], [-1.0, 0.0]])
    slid = np.linalg.norm(movement(5 * along, "mediapipe"), axis=1).mean()
    drawn = np.linalg.norm(movement(5 * across, "mediapipe"), axis=1).mean()
    assert slid < 0.2 * drawn  # 0.06 px and 0.67 px
