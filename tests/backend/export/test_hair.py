"""Brows and lashes that a scene gets: on the skin, where the painted ones are, and carried by the face's motion."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.export.blender import head_geometry
from backend.head_model.appearance import REGISTERED, brow_depth, face_coordinates
from backend.head_model.library import load_head
from protocol.take_codec import _check_head as refuse_if_wrong
from tests.backend.heads import small_head

MM = 1000.0


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def person(head):
    return head.neutral(np.random.default_rng(3).normal(size=len(head.shape_basis)))


@pytest.fixture(scope="module")
def geometry(head, person):
    return head_geometry(head, person)


def members(geometry, part):
    faces = geometry.triangle_part == geometry.part_names.index(part)
    return np.unique(geometry.triangles[faces])


def moved(geometry, action):
    return geometry.expression_deltas[geometry.expression_names.index(action)] * MM


def test_the_heads_own_vertices_come_first_and_all_of_it_is_sound(head, person, geometry):
    refuse_if_wrong(geometry, {})
    assert geometry.own_vertices == head.vertex_count < len(geometry.neutral)
    assert np.array_equal(geometry.neutral[: head.vertex_count], person)
    assert np.array_equal(geometry.expression_deltas[:, : head.vertex_count], head.expression_basis)
    assert np.allclose(geometry.skinning_weights.sum(axis=1), 1, atol=1e-4)
    added = set(range(head.vertex_count, len(geometry.neutral)))
    assert set().union(*(members(geometry, part) for part in ("brows", "lashes", "teeth", "gums"))) == added


def test_brows_lie_on_the_skin_where_they_are_painted(head, geometry):
    brows = members(geometry, "brows")
    off = cKDTree(head.template[head.regions["skin"]]).query(head_geometry(head, head.template).neutral[brows])[0]
    assert off.max() * MM < 6
    mean = face_coordinates(head, head_geometry(head, head.template).neutral[brows])
    assert brow_depth(mean).min() > -1.0, "no vertex is outside the painted outline"
    assert np.allclose(np.sort(mean[:, 0]), np.sort(-mean[:, 0]), atol=0.05), "both sides alike"
    faces = geometry.triangles[geometry.triangle_part == geometry.part_names.index("brows")]
    corners = geometry.neutral[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).mean() > 0.9, "they face outwards"


def test_brows_rise_with_the_brow_and_nothing_else(geometry):
    brows = members(geometry, "brows")
    assert moved(geometry, "browInnerUp")[brows, 1].max() > 1.5
    assert np.abs(moved(geometry, "jawOpen")[brows]).max() < 0.1


@pytest.mark.parametrize(("side", "sign"), [("Left", 1), ("Right", -1)])
def test_lashes_stand_off_the_lids_and_go_down_with_a_blink(head, geometry, side, sign):
    lashes = members(geometry, "lashes")
    mine = lashes[sign * geometry.neutral[lashes, 0] > 0]
    eye = geometry.joints[geometry.joint_names.index(f"{side.lower()}_eye")]
    above = mine[geometry.neutral[mine, 1] > eye[1] + 0.003]
    blink = moved(geometry, f"eyeBlink{side}")
    assert np.median(blink[above, 1]) < -6
    closed = geometry.neutral + blink / MM
    lid = head.regions["lids"] & (sign * head.template[:, 0] > 0)
    assert cKDTree(closed[: head.vertex_count][lid]).query(closed[above])[0].max() * MM < 9
    ball = head.regions[f"{side.lower()}_eyeball"]
    radius = np.linalg.norm(geometry.neutral[: head.vertex_count][ball] - eye, axis=1).mean()
    assert np.linalg.norm(geometry.neutral[mine] - eye, axis=1).min() > radius, "none pierces the eye"
    other = {"Left": "Right", "Right": "Left"}[side]
    assert np.abs(moved(geometry, f"eyeBlink{other}")[mine]).max() < 0.5


def test_any_head_of_the_canonical_atlas_has_brows(head):
    """Another head: the open head's vertices in another order, found by its atlas."""
    order = np.random.default_rng(0).permutation(head.vertex_count)
    place = np.argsort(order).astype(np.int32)
    other = replace(
        head,
        id="other",
        template=head.template[order],
        shape_basis=head.shape_basis[:, order],
        expression_basis=head.expression_basis[:, order],
        triangles=place[head.triangles],
        joint_regressor=head.joint_regressor[:, order],
        skinning_weights=head.skinning_weights[order],
        uv=head.uv[order],
        uv_vertices=np.append(head.uv_vertices, [[0, 0]], axis=0).astype(np.float32),
        regions={name: mask[order] for name, mask in head.regions.items()},
        provenance={REGISTERED: head.hash},
    )
    ours, theirs = (head_geometry(one, one.template) for one in (head, other))
    for part in ("brows", "lashes"):
        assert np.allclose(ours.neutral[members(ours, part)], theirs.neutral[members(theirs, part)], atol=1e-5)
    apart = np.abs(theirs.lips[: len(order)] - ours.lips[order])
    assert apart.mean() < 0.01 and np.quantile(apart, 0.99) < 0.3, "its lips are where the open head's are"


def test_a_head_of_another_atlas_has_none():
    head = small_head()
    geometry = head_geometry(head, head.template)
    assert "brows" not in geometry.part_names and len(geometry.neutral) == head.vertex_count
