"""The figures on σ, from errors whose distribution is known, and where points lie on another head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.evaluation import uncertainty
from backend.evaluation.benchmark import load_ict_head
from backend.evaluation.types import MeshSequence
from backend.evaluation.uncertainty import (
    EVERY,
    IDEAL,
    Counterparts,
    calibration_curve,
    calibration_record,
    counterparts,
    on_rendered,
)
from backend.head_model.dense_points import DENSE
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, SurfacePoints, surface_positions
from backend.head_model.render import vertex_normals
from backend.observations import ViewAlignment
from tests.backend.fitting.observed import changed, view_of

FRAMES = 4 * EVERY
FOCAL = 900.0


@pytest.fixture(scope="module")
def mesh() -> MeshSequence:
    """The open head half a metre away, still."""
    head = load_head()
    seen = head.template * [1, -1, -1] + [0, 0, 0.5]
    points = head.landmarks["ibug68"]
    return MeshSequence(
        vertices=np.repeat(seen[None].astype(np.float32), FRAMES, axis=0),
        triangles=head.triangles,
        focal_px=np.full(FRAMES, FOCAL),
        principal_point=np.array([256.0, 256.0]),
        image_size=(512, 512),
        frame_rate=25.0,
        tracked=np.ones(FRAMES, bool),
        landmarks68=(points.triangle, points.barycentric),
    )


def observed(mesh: MeshSequence, said: float = 1.0) -> tuple[ViewAlignment, Counterparts]:
    """Every dense point seen with an error whose σ differs from point to point, and ``said`` times that σ."""
    random = np.random.default_rng(3)
    points = load_head().landmarks[DENSE]
    place = surface_positions(points, mesh.triangles, mesh.vertices.astype(np.float64))
    true = place[..., :2] / place[..., 2:] * FOCAL + mesh.principal_point
    sigma = np.exp(random.uniform(-1, 1.5, true.shape[:2]))
    mu = true + sigma[..., None] * random.normal(size=true.shape)
    valid = np.ones(sigma.shape, bool)
    seen = view_of(DENSE, mu, said * sigma, valid, (512, 512), 25.0)
    return seen, Counterparts(points, np.ones(len(points), bool))


def test_calibrated_errors_have_ideal_figures(mesh: MeshSequence) -> None:
    record = calibration_record(*_with_mesh(mesh))
    for name, ideal in IDEAL.items():
        assert record[name] == pytest.approx(ideal, rel=0.05), name
    assert record["spearman"] > 0.4
    assert record["points"] == FRAMES // EVERY * len(load_head().landmarks[DENSE])
    sigma, error = calibration_curve([record, record])
    assert len(sigma) > 4
    np.testing.assert_allclose(error, sigma, rtol=0.15)


def _with_mesh(mesh: MeshSequence, said: float = 1.0) -> tuple[ViewAlignment, MeshSequence, Counterparts]:
    seen, found = observed(mesh, said)
    return seen, mesh, found


def test_saying_half_is_told(mesh: MeshSequence) -> None:
    record = calibration_record(*_with_mesh(mesh, said=0.5))
    assert record["error_over_sigma"] == pytest.approx(2, rel=0.05)
    assert record["within_1"] < 0.2


def test_points_that_face_away_are_told_apart_and_what_is_not_there_is_left_out(mesh: MeshSequence) -> None:
    seen, found = observed(mesh)
    normal = vertex_normals(mesh.vertices[0].astype(np.float64), mesh.triangles)
    seen.mu[:, surface_positions(found.points, mesh.triangles, normal)[:, 2] > 0.2] += 50
    record = calibration_record(seen, mesh, found)
    assert record["error_turned_away"] > 3 * record["error_seen"]
    some = Counterparts(found.points, found.there & (np.arange(len(found.there)) < 100))
    assert calibration_record(seen, mesh, some)["points"] == 100 * FRAMES // EVERY
    lost = changed(seen, valid=np.zeros_like(seen.valid))
    assert calibration_record(lost, mesh, found) == {}


def test_a_heads_points_are_their_own_counterparts() -> None:
    head = load_head()
    for name in (DENSE, "mediapipe478"):
        points = head.landmarks[name]
        found = counterparts(head, points, head)
        assert found.there.all()
        here, there = (surface_positions(p, head.triangles, head.template) for p in (points, found.points))
        assert np.quantile(np.linalg.norm(here - there, axis=1), 0.98) < 1e-5


@pytest.mark.slow
def test_on_the_rendered_head_they_lie_where_landmarks_were_carried(
    shared_data: Path, benchmark_cache: Path, registered_ict: HeadModel
) -> None:
    archive = shared_data / "ict" / "ict_facekit.npz"
    (kept,) = benchmark_cache.glob("ict-registered-*.npz")
    before = kept.stat().st_mtime_ns
    ict = uncertainty.registered_ict(archive, benchmark_cache)
    assert ict.hash == registered_ict.hash and kept.stat().st_mtime_ns == before
    rendered = load_ict_head(archive)
    found = on_rendered(counterparts(load_head(), load_head().landmarks["mediapipe478"], ict), ict, archive)
    assert found.there.mean() > 0.97
    here = surface_positions(found.points, rendered.triangles, rendered.template)
    carried = surface_positions(ict.landmarks["mediapipe478"], ict.triangles, ict.template)
    apart = np.linalg.norm(here - carried, axis=1)[found.there]
    assert np.median(apart) < 0.0005 and np.quantile(apart, 0.95) < 0.002
    assert on_rendered(counterparts(load_head(), load_head().landmarks[DENSE], ict), ict, archive).there.mean() > 0.95
    assert isinstance(found.points, SurfacePoints)
