"""Calibration of an aligner's σ: where its points really lie on rendered heads, against the σ that it gave.

The rendered head has another topology than the open one; a registration of it tells where on it each of the aligner's
surface points lies, to about 0.1 mm. What is off because a point means another place than it is said to counts as
error: to the fit it is one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from backend.errors import ErrorCode, UserError
from backend.evaluation.benchmark import SequenceSpec, Truth, load_ict_head, load_truth_full, render_sequences
from backend.evaluation.benchmark.make import default_cache
from backend.evaluation.mesh_landmarks import OUTER_EYE_CORNERS, landmarks_px
from backend.evaluation.store import Store, code_digest
from backend.evaluation.trackers.flowface import FlowFace
from backend.evaluation.types import MeshSequence
from backend.head_model.dense_points import joined_points
from backend.head_model.io import read_head, save_head
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.head_model.render import vertex_normals
from backend.head_model.surface import MeshSurface
from backend.observations import ViewAlignment

F64 = NDArray[np.float64]

EVERY = 5
"""In every how many frames points are compared; neighbours tell the same."""
FARTHEST = 0.004
"""Atlas units (about 1 mm) from the rendered head's atlas beyond which a point has no counterpart on it."""
EDGES = 0.125 * 2.0 ** (np.arange(17) / 2)
"""Bounds of the classes of σ, per cent of the inter-ocular distance, two to the octave; the outer ones are open."""

IDEAL = {"error_over_sigma": 1.0, "median_over_sigma": 1.177, "within_1": 0.393, "within_2": 0.865}
"""The figures where errors are as Gaussian and circular as σ says."""


def registered_ict(archive: Path, cache: Path | None = None) -> HeadModel:
    """The head that the benchmark renders, in the canonical atlas; registered once (half a minute), then read.

    Its vertices are those of ``load_ict_head``, in their order. Raises UserError as registration does.
    """
    from backend.alignment.landmarks.plain_mesh import still_face_mesh
    from backend.head_model.converters.ict import read_ict
    from backend.head_model.registration.register import register_head

    state = archive.stat()
    code = code_digest(("head_model/",))
    kept = (cache or default_cache()) / f"ict-registered-{state.st_size}-{code}.npz"
    if kept.is_file():
        try:
            return read_head(kept)
        except UserError:
            pass  # damaged from outside: make it again
    head, _ = register_head(read_ict(archive), still_face_mesh)
    kept.parent.mkdir(parents=True, exist_ok=True)
    save_head(head, kept)
    return read_head(kept)


@dataclass(frozen=True, eq=False)
class Counterparts:
    """The places of N surface points of one head on another: ``points``, and which of them are there at all (N,)."""

    points: SurfacePoints
    there: NDArray[np.bool_]


def counterparts(head: HeadModel, points: SurfacePoints, other: HeadModel) -> Counterparts:
    """The places of ``head``'s ``points`` on ``other``: the same places of the canonical atlas."""
    corners = head.uv_vertices[head.uv_triangles[points.triangle]]
    place = np.einsum("nk,nkc->nc", points.barycentric, corners).astype(np.float64)
    foot = MeshSurface(_flat(other.uv_vertices), other.uv_triangles).closest_nearby(_flat(place))
    found = SurfacePoints(foot.triangle.astype(np.int32), foot.barycentric.astype(np.float32))
    return Counterparts(found, foot.distance < FARTHEST)


def _flat(uv: NDArray[np.floating[Any]]) -> F64:
    return np.column_stack([uv, np.zeros(len(uv))]).astype(np.float64)


def on_rendered(found: Counterparts, other: HeadModel, archive: Path) -> Counterparts:
    """The same with triangles of the benchmark's own mesh, which has ``other``'s vertices in some order."""
    ict = load_ict_head(archive)
    distance, vertex = cKDTree(ict.template).query(other.template)
    if distance.max() > 1e-5:
        raise UserError(
            ErrorCode.HEAD_INCONSISTENT, "The registered ICT head is not the one that the benchmark renders."
        )
    known = {tuple(sorted(t)): row for row, t in enumerate(ict.triangles.tolist())}
    row = np.full(len(found.there), -1, np.int32)
    weights = np.zeros((len(row), 3), np.float32)
    for i, triangle in enumerate(vertex[other.triangles[found.points.triangle]].tolist()):
        row[i] = known.get(tuple(sorted(triangle)), -1)
        if row[i] >= 0:
            order = [triangle.index(v) for v in ict.triangles[row[i]].tolist()]
            weights[i] = found.points.barycentric[i, order]
    there = found.there & (row >= 0)
    weights[~there] = 1 / 3
    return Counterparts(SurfacePoints(np.maximum(row, 0), weights), there)


def calibration_record(observed: ViewAlignment, mesh: MeshSequence, found: Counterparts) -> dict[str, Any]:
    """Errors against σ in every ``EVERY``-th frame. Errors are per axis, as σ is, in % of the inter-ocular distance."""
    frames = np.arange(0, mesh.frame_count, EVERY)
    corners = landmarks_px(mesh)[:, OUTER_EYE_CORNERS]
    unit = 100 / np.median(np.linalg.norm(corners[:, 0] - corners[:, 1], axis=-1))
    sigma, error, seen = [], [], []
    for t in frames[observed.tells_pose[frames]]:
        vertices = mesh.vertices[t].astype(np.float64)
        place = surface_positions(found.points, mesh.triangles, vertices)
        true = place[:, :2] / place[:, 2:] * mesh.focal_px[t] + mesh.principal_point
        normal = surface_positions(found.points, mesh.triangles, vertex_normals(vertices, mesh.triangles))
        used = found.there & observed.valid[t]
        sigma.append(observed.sigma[t, used] * unit)
        error.append(np.linalg.norm(observed.mu[t, used] - true[used], axis=1) * unit)
        seen.append(((normal * place).sum(axis=1) < 0)[used])
    if not sigma:
        return {}
    return _figures(*(np.concatenate(parts) for parts in (sigma, error, seen)))


def _figures(sigma: F64, error: F64, seen: NDArray[np.bool_]) -> dict[str, Any]:
    from scipy.stats import spearmanr  # half a second of a core, which only who measures pays

    ratio = error / sigma
    row = np.clip(np.searchsorted(EDGES, sigma) - 1, 0, len(EDGES) - 2)
    count = len(EDGES) - 1
    return {
        "points": len(sigma),
        "spearman": float(spearmanr(sigma, error).statistic),
        "error_over_sigma": float(np.sqrt(np.square(ratio).mean() / 2)),
        "median_over_sigma": float(np.median(ratio)),
        "within_1": float((ratio < 1).mean()),
        "within_2": float((ratio < 2).mean()),
        "error_seen": _rms(error[seen]),
        "error_turned_away": _rms(error[~seen]),
        "sigma_seen": _rms(sigma[seen] * np.sqrt(2)),
        "sigma_turned_away": _rms(sigma[~seen] * np.sqrt(2)),
        "class_count": np.bincount(row, minlength=count).tolist(),
        "class_sigma2": np.bincount(row, np.square(sigma), count).tolist(),
        "class_error2": np.bincount(row, np.square(error) / 2, count).tolist(),
    }


def _rms(distance: F64) -> float | None:
    """Root mean square per axis of distances in the plane."""
    return float(np.sqrt(np.square(distance).mean() / 2)) if len(distance) else None


def calibration_curve(records: Sequence[dict[str, Any]], least: int = 200) -> tuple[F64, F64]:
    """Root mean square σ and error of each class with at least ``least`` points, over all records; both (n,)."""
    told = [record for record in records if record.get("class_count")]
    if not told:
        return np.zeros(0), np.zeros(0)
    count, sigma2, error2 = (
        np.sum([r[f"class_{name}"] for r in told], axis=0) for name in ("count", "sigma2", "error2")
    )
    kept = count >= least
    return np.sqrt(sigma2[kept] / count[kept]), np.sqrt(error2[kept] / count[kept])


def uncertainty_records(
    trackers: Sequence[FlowFace],
    specs: Sequence[SequenceSpec],
    archive: Path,
    store: Store,
    cache: Path | None = None,
    on_stage: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """A record for each sequence and each of our trackers' aligners; what was measured before is read."""
    records: list[dict[str, Any]] = []
    for sequence in render_sequences(specs, archive, cache):
        truth: Truth | None = None
        for tracker in trackers:

            def make(tracker: FlowFace = tracker, clip: Path = sequence.clip, path: Path = sequence.truth) -> Any:
                nonlocal truth
                truth = truth or load_truth_full(path)
                head = load_head(tracker.head_name)
                try:
                    observed = tracker.observe(clip)
                except UserError as error:
                    if error.code != ErrorCode.NO_FACE:
                        raise
                    return {}
                found = _counterparts(
                    head.hash, tracker.head_name, tuple(id.name for id in observed.ids), archive, cache
                )
                return calibration_record(observed, truth.mesh, found)

            on_stage(f"{sequence.spec.name}: {tracker.name}, σ against truth")
            key = ("uncertainty", sequence.spec.name, str(sequence.spec.seed), tracker.name)
            names = {"tracker": tracker.name, "aligner": tracker.aligner, "sequence": sequence.spec.name}
            records.append({**names, **store.get(key, make, tracker.made_by)})
    return sorted(records, key=lambda r: ([t.name for t in trackers].index(r["tracker"]), r["sequence"]))


_KEPT: dict[tuple[str, tuple[str, ...], Path], Counterparts] = {}


def _counterparts(
    hash_: str, head_name: str, point_sets: tuple[str, ...], archive: Path, cache: Path | None
) -> Counterparts:
    key = (hash_, point_sets, archive)
    if key not in _KEPT:
        other, head = registered_ict(archive, cache), load_head(head_name)
        points = joined_points(*(head.landmarks[name] for name in point_sets))
        _KEPT[key] = on_rendered(counterparts(head, points, other), other, archive)
    return _KEPT[key]
