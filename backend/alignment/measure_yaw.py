"""How MediaPipe's points drift on turned heads, measured on a scan with calibrated views."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backend.alignment.face_mesh import LEFT_OUTER_CANTHUS, RIGHT_OUTER_CANTHUS
from backend.alignment.types import FaceBox
from backend.footage import read_image

F64 = NDArray[np.float64]

_LEVEL_DEGREES = 15


class _Instrument(Protocol):
    def points(self, image: NDArray[np.uint8], box: FaceBox | None = None) -> tuple[F64, FaceBox] | None: ...


def _read_obj(path: Path) -> tuple[F64, NDArray[np.int64]]:
    vertices, faces = [], []
    for line in path.read_text().splitlines():
        head, *rest = line.split()[:4] if line.strip() else ("",)
        if head == "v":
            vertices.append([float(x) for x in rest])
        elif head == "f":
            faces.append([int(x.split("/")[0]) - 1 for x in rest])
    return np.array(vertices), np.array(faces, np.int64)


def first_hits(vertices: F64, faces: NDArray[np.int64], origin: F64, directions: F64) -> F64:
    """Nearest intersections (N,3) of rays with a triangle mesh; NaN where a ray misses (Möller and Trumbore 1997)."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    e1, e2, s = b - a, c - a, origin - a
    q = np.cross(s, e1)
    hits = np.full((len(directions), 3), np.nan)
    for n, direction in enumerate(directions):
        p = np.cross(direction, e2)
        with np.errstate(divide="ignore", invalid="ignore"):  # rays along a triangle
            inverse = 1 / (e1 * p).sum(axis=1)
            u, v, t = (s * p).sum(axis=1) * inverse, (q @ direction) * inverse, (e2 * q).sum(axis=1) * inverse
            inside = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        if inside.any():
            hits[n] = origin + direction * t[inside].min()
    return hits


def yaw_growth(
    scan: Path, instrument: _Instrument, sigma: F64, lateral: F64, knots: F64
) -> tuple[F64, F64, dict[str, float]]:
    """Factors on σ at each yaw knot (radians, positive: the point's side turns away), and each view's error in %.

    The first factors are for points at the side of the face (its outline left out: a silhouette has no one place on
    the scan to be lifted to), the second for those on its middle line. Points are
    lifted onto the scan from its frontal view and projected into the others; what the aligner says there differs by
    drift. Factor = √(1 + drift² / σ²), made not to fall with |yaw|. Views from far above or below tell nothing of yaw.
    """
    cameras = json.loads((scan / "cameras.json").read_text())["cameras"]
    vertices, faces = _read_obj(scan / "lee_perry_smith.obj")
    by_view = [(camera, instrument.points(read_image(scan / camera["image"]))) for camera in cameras]
    camera, found = by_view[0]
    if found is None:
        raise RuntimeError("no face in the scan's frontal view")
    k, r, t = (np.array(camera[name]) for name in ("K", "R", "t"))
    rays = np.column_stack([found[0], np.ones(len(found[0]))]) @ np.linalg.inv(k).T @ r
    lifted = first_hits(vertices, faces, -r.T @ t, rays)
    width = np.linalg.norm(lifted[LEFT_OUTER_CANTHUS] - lifted[RIGHT_OUTER_CANTHUS])
    samples: dict[str, list[tuple[float, float]]] = {"side": [(0.0, 1.0)], "middle": [(0.0, 1.0)]}
    views: dict[str, float] = {}
    for camera, found in by_view[1:]:
        if found is None:
            continue
        seen = lifted @ np.array(camera["R"]).T + np.array(camera["t"])
        projected = seen @ np.array(camera["K"]).T
        drift = found[0] - projected[:, :2] / projected[:, 2:]
        scale = camera["K"][0][0] * width / np.nanmean(seen[:, 2])
        error = np.sqrt((drift**2).mean(axis=1)) / scale
        views[f"{camera['azimuth_deg']}°/{camera['elevation_deg']}°"] = round(
            100 * float(np.sqrt(np.nanmean(error**2))), 2
        )
        if abs(camera["elevation_deg"]) > _LEVEL_DEGREES:
            continue
        # The head's rotation in camera axes against the frontal view; positive towards the subject's left.
        turned = np.array(camera["R"]) @ r.T
        yaw = float(np.arctan2(-turned[0, 2], turned[2, 2]))
        for sign in (-1, 1):
            samples["side"].append((yaw * sign, _growth(error, sigma, np.abs(lateral * sign - 0.6) < 0.2)))
            samples["middle"].append((yaw * sign, _growth(error, sigma, np.abs(lateral) < 0.15)))
    return _monotone(np.array(samples["side"]), knots), _monotone(np.array(samples["middle"]), knots), views


def _growth(error: F64, sigma: F64, chosen: NDArray[np.bool_]) -> float:
    chosen = chosen & np.isfinite(error)
    # A mean square, told from the median: a ray that slips past a nostril's rim is no drift.
    return float(np.sqrt(1 + np.median(error[chosen] ** 2 / sigma[chosen] ** 2) / np.log(2)))


def _monotone(samples: F64, knots: F64) -> F64:
    """Mean of samples (S,2) at equal yaw, interpolated to the knots and not falling away from zero."""
    yaws = np.unique(np.round(samples[:, 0], 2))
    means = np.array([samples[np.round(samples[:, 0], 2) == yaw, 1].mean() for yaw in yaws])
    for part in (np.flatnonzero(yaws >= 0), np.flatnonzero(yaws <= 0)[::-1]):
        means[part] = np.maximum.accumulate(means[part])
    return np.interp(knots, yaws, means)
