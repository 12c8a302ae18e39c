"""Landmark errors as seeds/004 §3 reports them: inner 51, all 68, the boundary, and their cumulative curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

BOUNDARY_17 = np.arange(17)
INNER_51 = np.arange(17, 68)
ALL_68 = np.arange(68)
OUTER_EYE_CORNERS = (36, 45)

Normaliser = Literal["inter_ocular", "box"]


def inter_ocular_distance(truth: NDArray[np.floating[Any]]) -> F64:
    """(n,) distance of the outer eye corners (iBUG 36 and 45, from 0) of ``truth (n,68,2)``: 300-W's normaliser."""
    return np.linalg.norm(truth[:, OUTER_EYE_CORNERS[0]] - truth[:, OUTER_EYE_CORNERS[1]], axis=-1).astype(np.float64)


def box_size(truth: NDArray[np.floating[Any]]) -> F64:
    """(n,) √(width · height) of the box around ``truth (n,68,2)``; unlike the other, it stays as the head turns."""
    extent = np.nanmax(truth, axis=1) - np.nanmin(truth, axis=1)
    return np.sqrt(extent[:, 0] * extent[:, 1]).astype(np.float64)


def normalised_mean_error(
    truth: NDArray[np.floating[Any]],
    predicted: NDArray[np.floating[Any]],
    *,
    points: NDArray[np.integer[Any]] = ALL_68,
    normaliser: Normaliser = "inter_ocular",
    valid: NDArray[np.bool_] | None = None,
) -> F64:
    """(n,) error of each image's landmarks; ``truth`` and ``predicted (n,68,2)`` in pixels:

        NME = 1/|P| · Σ_{i ∈ P} ‖x_i − x̂_i‖₂ / d

    over ``points`` (indices into the 68) with d = ``inter_ocular_distance`` or ``box_size`` of the truth. This is the
    "average RMSE error" of 300-W that seeds/004 §3 uses: the mean of the points' distances, not their mean square.
    ``valid (n,68)`` leaves out points that are not annotated. NaN where a prediction is missing or no point is valid.
    """
    distance = np.linalg.norm(np.asarray(truth, np.float64) - np.asarray(predicted, np.float64), axis=-1)[:, points]
    size = inter_ocular_distance(truth) if normaliser == "inter_ocular" else box_size(truth)
    counts = np.ones(distance.shape, bool) if valid is None else valid[:, points]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts, distance, 0.0).sum(axis=1) / counts.sum(axis=1) / size


def boundary_error(
    boundary: NDArray[np.floating[Any]], silhouette: NDArray[np.floating[Any]], inter_ocular: float
) -> float:
    """Distance from an image's boundary landmarks to the predicted silhouette, in inter-ocular distances:

        1/n · Σ_{i=1…n} min_{s ∈ S} ‖x_i − s‖₂ / d

    (seeds/004 §3; 300-W has n = 17). ``boundary (n,2)`` and the silhouette's edges ``(m,2,2)``
    (``silhouette_edges``) in pixels: all of an edge counts, not its ends only, so that a coarse mesh is not worse for
    being coarse. NaN where the silhouette is empty.
    """
    if not len(silhouette):
        return float("nan")
    points, edges = np.asarray(boundary, np.float64)[:, None], np.asarray(silhouette, np.float64)[None]
    along = edges[:, :, 1] - edges[:, :, 0]
    share = ((points - edges[:, :, 0]) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-30)
    nearest = edges[:, :, 0] + np.clip(share, 0.0, 1.0)[..., None] * along
    return float(np.linalg.norm(points - nearest, axis=-1).min(axis=1).mean() / inter_ocular)


def overall_error(inner: NDArray[np.floating[Any]], boundary: NDArray[np.floating[Any]]) -> F64:
    """(boundary + 3 · inner) / 4: seeds/004 §3 weights the two 1:3, as there are 17 boundary and 51 inner points."""
    return (np.asarray(boundary, np.float64) + 3 * np.asarray(inner, np.float64)) / 4


@dataclass(frozen=True, eq=False)
class MeshEdges:
    """The edges of a mesh's F triangles: their ends ``vertices (E,2)``, the edge of each side of each triangle
    ``of_sides (F*3,)``, and by how many triangles each is shared, ``shared (E,)``."""

    vertices: NDArray[np.int64]
    of_sides: NDArray[np.int64]
    shared: NDArray[np.int64]

    @classmethod
    def of(cls, triangles: NDArray[np.integer[Any]]) -> MeshEdges:
        """Those of ``triangles (F,3)``: worth making once for many frames."""
        sides = np.sort(np.asarray(triangles, np.int64)[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        unique, inverse = np.unique(sides, axis=0, return_inverse=True)
        return cls(unique, inverse.reshape(-1), np.bincount(inverse.reshape(-1)))


def silhouette_edges(
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    *,
    focal_px: float,
    principal_point: NDArray[np.floating[Any]],
    allowed: NDArray[np.bool_] | None = None,
    edges: MeshEdges | None = None,
) -> F64:
    """Image positions (m,2,2) of the edges where the mesh turns away from the camera.

    They are those that a triangle facing the camera shares with one facing away or with nothing (seeds/004 §4:
    "determined by the current vertex normals"). ``vertices (V,3)`` in camera space; ``allowed (V,)`` keeps only edges
    between some of them, such as the skin of the face. ``edges`` are those of the triangles, where they are known.
    """
    points = np.asarray(vertices, np.float64)
    corners = points[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    front = np.einsum("fc,fc->f", normal, corners[:, 0]) < 0
    edges = edges or MeshEdges.of(triangles)
    facing = np.bincount(edges.of_sides, np.repeat(front, 3), len(edges.shared))
    contour = (facing > 0) & ((facing < edges.shared) | (edges.shared == 1))
    if allowed is not None:
        contour &= allowed[edges.vertices].all(axis=1)
    seen = points[edges.vertices[contour]]
    return np.asarray(seen[..., :2] / seen[..., 2:] * focal_px + np.asarray(principal_point, np.float64))


def jaw_line(landmarks: NDArray[np.floating[Any]]) -> F64:
    """Edges (16,2,2) between neighbours of iBUG-68's boundary points, of ``landmarks (68,2)`` in pixels.

    Seen from the front, a head's chin is no silhouette: the skin below it still faces the camera down to the throat
    (on the open head by 8° to 16°), and what annotators mark is the ridge of the jaw. A mesh that ends at the jaw has
    its border there; a whole head has this line.
    """
    points = np.asarray(landmarks, np.float64)[BOUNDARY_17]
    return np.stack([points[:-1], points[1:]], axis=1)


@dataclass(frozen=True, eq=False)
class CumulativeCurve:
    """``fraction (k,)`` of the images with an error of at most ``threshold (k,)``; area and failures up to ``limit``.

    ``area_under_curve`` is in 0…1 (1: no error at all), ``failure_rate`` the share of images beyond the limit or lost.
    """

    threshold: F64
    fraction: F64
    limit: float
    area_under_curve: float
    failure_rate: float


def cumulative_curve(errors: NDArray[np.floating[Any]], *, limit: float = 0.1, steps: int = 200) -> CumulativeCurve:
    """Cumulative error distribution (seeds/004 figure 3) of ``errors (n,)``, one per image; NaN counts as lost.

        CED(e) = |{i : e_i ≤ e}| / n,   AUC = 1/L · ∫₀ᴸ CED(e) de = 1/n · Σ_i max(0, 1 − e_i/L),   FR = 1 − CED(L)

    The area is that exact sum, not one over the steps. Raises ValueError without any error.
    """
    errors = np.asarray(errors, np.float64)
    if not errors.size:
        raise ValueError("a cumulative curve needs at least one error")
    known = np.where(np.isfinite(errors), errors, np.inf)
    threshold = np.linspace(0.0, limit, steps + 1)
    fraction = np.searchsorted(np.sort(known), threshold, side="right") / len(known)
    area = float(np.maximum(0.0, 1.0 - known / limit).mean())
    return CumulativeCurve(threshold, fraction, limit, area, float((known > limit).mean()))
