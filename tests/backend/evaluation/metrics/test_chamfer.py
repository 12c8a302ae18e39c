"""Scan-to-mesh distance and normal error against what geometry says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.evaluation.metrics.chamfer import AlignedFrame, align_frames, chamfer, neutral_only
from backend.evaluation.metrics.normals import normal_error
from backend.evaluation.types import MeshSequence
from backend.head_model.rigid import Similarity, similarity_between
from backend.head_model.surface import MeshSurface
from tests.backend.evaluation.patches import F64, ball, sequence

NO_MOTION = Similarity(1.0, np.eye(3), np.zeros(3))


def _moved(source: MeshSequence, motion: Similarity) -> MeshSequence:
    return replace(source, vertices=motion.apply(source.vertices).astype(np.float32))


def _first(source: MeshSequence) -> MeshSequence:
    return replace(source, vertices=source.vertices[:1], tracked=source.tracked[:1], focal_px=source.focal_px[:1])


def _sphere(radius: float) -> MeshSequence:
    """A closed sphere before the camera; its landmarks are the same directions whatever the radius."""
    vertices, triangles = ball(radius, (0.0, 0.0, 1.0))
    landmarks = np.linspace(0, len(triangles) - 1, 68).astype(np.int32), np.tile(np.float32([1, 0, 0]), (68, 1))
    return MeshSequence(
        vertices.astype(np.float32)[None], triangles, np.array([500.0]), np.array([128.0, 128.0]), (256, 256), 30.0,
        np.ones(1, bool), {"face": np.ones(len(vertices), bool)}, landmarks68=landmarks,
    )  # fmt: skip


def test_the_truth_against_itself_is_zero() -> None:
    truth = _first(sequence())
    aligned = align_frames(truth, truth, metrical=True)
    assert chamfer(truth, aligned).regions["face"].mean == pytest.approx(0, abs=1e-6)
    assert normal_error(truth, truth, aligned).regions["face"].mean == pytest.approx(0, abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-0.6, 0.6)] * 3), shift=st.tuples(*[st.floats(-0.5, 0.5)] * 3), scale=st.floats(0.5, 2)
)
def test_a_moved_copy_in_another_topology_is_found_again(
    turn: tuple[float, float, float], shift: tuple[float, float, float], scale: float
) -> None:
    truth, copy = _first(sequence()), _first(sequence(columns=33, rows=37))
    motion = Similarity(scale, Rotation.from_rotvec(turn).as_matrix(), np.array(shift))
    [aligned] = align_frames(truth, _moved(copy, motion), metrical=False)
    assert aligned.motion.scale * scale == pytest.approx(1.0, abs=1e-3)
    result = chamfer(truth, [aligned]).regions["face"]
    assert result.mean < 0.1  # mm: what the coarser facets cut off
    rigid = replace(motion, scale=1.0)
    [metrical] = align_frames(truth, _moved(copy, rigid), metrical=True)
    assert chamfer(truth, [metrical]).regions["face"].mean == pytest.approx(result.mean, abs=0.01)


def test_wrong_keypoints_are_repaired_by_the_whole_face() -> None:
    truth = _first(sequence())
    triangle, barycentric = truth.landmarks68 or (None, None)
    assert triangle is not None and barycentric is not None
    wrong = replace(truth, landmarks68=(triangle + 6, barycentric))  # three cells, about 1 cm, to the side
    [aligned] = align_frames(truth, wrong, metrical=True)
    assert chamfer(truth, [aligned]).regions["face"].mean < 0.01


def test_a_sphere_two_percent_too_large_is_two_percent_of_its_radius_away() -> None:
    truth, large = _sphere(0.1), _sphere(0.102)
    result = chamfer(truth, align_frames(truth, large, metrical=True))
    spread = result.regions["face"]
    middles = large.vertices[0][large.triangles].mean(axis=1) - [0, 0, 1.0]
    sagitta = 102.0 - 1e3 * np.linalg.norm(middles, axis=1).min()  # how far the facets lie inside the sphere, mm
    assert sagitta < 0.15
    assert 2.0 - sagitta <= spread.mean <= 2.001
    assert 2.0 - sagitta <= spread.median <= 2.001
    assert spread.std < sagitta
    assert np.nanmean(result.vertex_error) == pytest.approx(spread.mean)
    similar = chamfer(truth, align_frames(truth, large, metrical=False)).regions["face"]
    assert similar.mean < 0.01


def test_a_missing_part_counts_with_its_distance() -> None:
    truth = _first(sequence())
    shifted = truth.vertices[0].copy()
    shifted[truth.regions["nose"], 2] += 0.004
    surface = MeshSurface(shifted, truth.triangles)
    aligned = [AlignedFrame(0, NO_MOTION, surface.closest(truth.vertices[0]))]
    regions = chamfer(truth, aligned).regions
    assert regions["mouth"].mean == pytest.approx(0, abs=1e-6)
    assert 1.0 < regions["nose"].mean <= 4.0


def test_worse_shapes_rank_worse() -> None:
    truth = _first(sequence())
    noise = np.random.default_rng(1).normal(size=truth.vertices.shape)
    scores, normals = [], []
    for amount in (0.0005, 0.001, 0.002):
        noisy = replace(truth, vertices=(truth.vertices + amount * noise).astype(np.float32))
        aligned = align_frames(truth, noisy, metrical=True)
        scores.append(chamfer(truth, aligned).regions["face"].mean)
        normals.append(normal_error(truth, noisy, aligned).regions["face"].mean)
    assert 0 < scores[0] < scores[1] < scores[2]
    assert 0 < normals[0] < normals[1] < normals[2]


def _strip(height: F64) -> MeshSequence:
    """A strip of two rows of vertices, ``height (n,)`` above the plane z = 0 along x = 0, 1/40, 2/40, …"""
    n = len(height)
    columns, rows = np.tile(np.arange(n) / 40, 2), np.repeat(np.arange(2.0), n)
    first = np.arange(n - 1)
    triangles = np.stack([first, first + 1, first + n, first + 1, first + 1 + n, first + n], axis=1).reshape(-1, 3)
    return MeshSequence(
        np.stack([columns, rows, np.tile(height, 2)], axis=1).astype(np.float32)[None], triangles.astype(np.int32),
        np.ones(1), np.zeros(2), (8, 8), 30.0, np.ones(1, bool), {"face": np.ones(2 * n, bool)},
    )  # fmt: skip


def _as_aligned(predicted: MeshSequence, motion: Similarity = NO_MOTION) -> list[AlignedFrame]:
    """Vertex for vertex, so that the folds are met evenly."""
    vertices = predicted.vertices[0]
    return [AlignedFrame(0, motion, MeshSurface(vertices, predicted.triangles).closest(vertices))]


def test_the_normals_of_a_folded_plane_are_off_by_its_slope() -> None:
    x = np.arange(241) / 40  # six slopes of forty steps
    flat, folded = _strip(0 * x), _strip(np.abs((x + 1) % 2 - 1) * np.tan(np.deg2rad(20.0)))
    result = normal_error(flat, folded, _as_aligned(folded)).regions["face"]
    on_a_fold = np.rad2deg(np.arctan(np.tan(np.deg2rad(20.0)) / 3))  # two triangles of one slope, one of the other
    assert result.median == pytest.approx(20.0, abs=1e-3)
    assert result.mean == pytest.approx((236 * 20.0 + 5 * on_a_fold) / 241, rel=1e-4)


def test_a_surface_that_faces_the_other_way_is_not_the_one_meant() -> None:
    """Between two sheets back to back, 1 mm apart, the other one is closer; its normals are the opposite ones."""
    front = _strip(np.zeros(50))
    count = front.vertices.shape[1]
    both = np.concatenate([front.vertices + np.array([0, 0, z]) for z in (0.0007, -0.0003)], axis=1)
    sheets = replace(
        front,
        vertices=both.astype(np.float32),
        triangles=np.concatenate([front.triangles, front.triangles[:, ::-1] + count]),
    )
    closest = MeshSurface(sheets.vertices[0], sheets.triangles).closest(front.vertices[0])
    assert (closest.triangle >= len(front.triangles)).all()
    result = normal_error(front, sheets, [AlignedFrame(0, NO_MOTION, closest)]).regions["face"]
    assert result.mean == pytest.approx(0, abs=1e-4)


def test_the_alignment_turns_the_normals_along() -> None:
    flat = _strip(np.zeros(50))
    tilt = Similarity(1.0, Rotation.from_rotvec([np.deg2rad(7.0), 0, 0]).as_matrix(), np.zeros(3))
    assert normal_error(flat, flat, _as_aligned(flat, tilt)).regions["face"].mean == pytest.approx(7.0, abs=1e-5)


def test_procrustes_weighs_its_points() -> None:
    source = np.random.default_rng(2).normal(size=(20, 3))
    target = 1.5 * source @ Rotation.from_euler("xyz", [0.3, -0.2, 0.9]).as_matrix().T + [1, 2, 3]
    target[0] += 100
    motion = similarity_between(source, target, np.arange(20) > 0)
    assert motion.scale == pytest.approx(1.5)
    np.testing.assert_allclose(motion.apply(source)[1:], target[1:], atol=1e-9)
    np.testing.assert_allclose(motion.undo(motion.apply(source)), source, atol=1e-12)


def test_the_neutral_head_alone_and_lost_frames() -> None:
    truth = sequence()
    assert neutral_only(truth).frame_count == 1
    with pytest.raises(ValueError, match="no neutral"):
        neutral_only(replace(truth, neutral=None))
    lost = replace(truth, tracked=np.arange(12) == 4)
    assert [a.frame for a in align_frames(truth, lost, metrical=True, frames=[0, 4, 8])] == [4]
    assert np.isnan(chamfer(truth, []).regions["face"].mean)
    with pytest.raises(ValueError, match="68 landmarks"):
        align_frames(truth, replace(truth, landmarks68=None), metrical=True, frames=[0])


def test_vertices_in_no_region_are_not_measured() -> None:
    truth = _first(sequence())
    nose = replace(truth, regions={"nose": truth.regions["nose"]})
    aligned = align_frames(nose, truth, metrical=True)
    for error in (chamfer(nose, aligned).vertex_error, normal_error(nose, truth, aligned).vertex_error):
        np.testing.assert_array_equal(np.isfinite(error), truth.regions["nose"])
