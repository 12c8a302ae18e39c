"""Registration against truth: the open head deformed by a known smooth map, meshed anew, and told nothing about."""

from dataclasses import replace

import numpy as np
import pytest

from backend.alignment.landmarks.plain_mesh import still_face_mesh
from backend.errors import UserError
from backend.head_model.io import inconsistency, read_head, save_head
from backend.head_model.library import load_head
from backend.head_model.model import actions_of, surface_positions
from backend.head_model.registration.register import register_head
from backend.head_model.registration.sheet import registration_sheet
from protocol.face_actions import ARKIT_ACTIONS
from tests.backend.head_model.registration_targets import remeshed, smooth_change

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def open_head():
    return load_head("open")


@pytest.fixture(scope="module")
def known(open_head):
    return remeshed(open_head, np.ones(open_head.vertex_count, bool))


@pytest.fixture(scope="module")
def registered(known):
    steps = []
    head, report = register_head(
        known.source, still_face_mesh, on_progress=lambda share, text: steps.append((share, text))
    )
    assert [share for share, _ in steps] == sorted(share for share, _ in steps) and steps[-1][0] == 1
    return head, report


@pytest.fixture(scope="module")
def truth(open_head, known):
    """Values of the open head's vertices (V0,…) at the target's vertices (V,…), as they were made."""
    corners = open_head.triangles[known.triangle]
    return lambda values: np.einsum("nk,nk...->n...", known.barycentric, np.asarray(values, np.float64)[corners])


def test_the_result_is_a_head_that_survives_its_file(registered, tmp_path):
    head, report = registered
    assert inconsistency(head) == ""
    assert head.action_names == ARKIT_ACTIONS
    save_head(head, tmp_path / "known.npz")
    again = read_head(tmp_path / "known.npz")
    assert again.action_names == head.action_names
    # float16 keeps a value to 2^-11 of itself
    assert np.abs(again.action_basis - head.action_basis).max() < np.abs(head.action_basis).max() / 2000
    assert float(again.provenance["registration_surface_mean_mm"]) == pytest.approx(report.surface_mean_mm, rel=1e-3)


def test_the_surfaces_meet(registered):
    _, report = registered
    assert report.surface_mean_mm < 0.1 and report.surface_p95_mm < 0.3
    assert report.flipped_surface == 0 and report.flipped_atlas < 0.02
    assert report.corresponding > 0.98
    assert report.landmark_mean_mm < 1.5


def test_vertices_find_their_place_in_the_atlas(registered, open_head, known, truth):
    head, _ = registered
    corners = open_head.uv_vertices.astype(np.float64)[open_head.uv_triangles[known.triangle]]
    wanted = np.einsum("nk,nkc->nc", known.barycentric, corners)
    error = np.linalg.norm(head.uv - wanted, axis=1)
    face = truth(open_head.regions["face"]) > 0.5
    # the face is about 0.2 m high and 0.6 of the atlas: 0.003 is a millimetre
    assert np.median(error[face]) < 0.003
    for part in ("left_eyeball", "right_eyeball", "teeth", "tongue", "ears"):
        assert np.median(error[truth(open_head.regions[part]) > 0.5]) < 0.003, part


def test_regions_cover_what_they_were_made_from(registered, open_head, truth):
    head, _ = registered
    for name in ("face", "nose", "ears", "lips", "lids", "mouth_bag", "teeth", "left_eyeball", "right_eyeball", "skin"):
        made = truth(open_head.regions[name]) > 0.5
        overlap = np.sum(made & head.regions[name]) / np.sum(made | head.regions[name])
        assert overlap > 0.85, name
    assert set(np.unique(head.vertex_weight)) == {np.float32(0.005), np.float32(1)}


def test_landmarks_lie_where_the_map_takes_them(registered, open_head):
    head, _ = registered
    for name in ("mediapipe478", "ibug68"):
        home = surface_positions(open_head.landmarks[name], open_head.triangles, open_head.template)
        here = surface_positions(head.landmarks[name], head.triangles, head.template)
        error = np.linalg.norm(here - smooth_change(home), axis=1) * 1e3
        assert error.mean() < 1.5 and np.percentile(error, 95) < 4, name


def test_lower_lip_points_follow_the_jaw_and_upper_ones_do_not(registered):
    head, _ = registered
    jaw = head.action_basis[head.action_names.index("jawOpen")]
    drop = -surface_positions(head.landmarks["mediapipe478"], head.triangles, jaw)[:, 1]
    assert drop[[14, 87, 317, 17, 84]].min() > 3 * drop[[13, 82, 312, 0, 37]].max()


def test_actions_are_those_of_the_open_head_after_the_map(registered, open_head, truth):
    head, _ = registered
    names, basis = actions_of(open_head)
    home = truth(open_head.template)
    face = truth(open_head.regions["face"]) > 0.5
    for name in ("eyeBlinkLeft", "mouthSmileLeft", "browDownRight", "mouthPucker", "jawOpen"):
        wanted = smooth_change(home + truth(basis[names.index(name)])) - smooth_change(home)
        error = (head.action_basis[head.action_names.index(name)] - wanted)[face]
        assert np.sqrt((error**2).sum() / (wanted[face] ** 2).sum()) < 0.15, name


def test_lids_close_and_eyes_stay_for_the_gaze_to_turn(registered):
    head, report = registered
    assert report.lid_gap_mm < 0.3
    eyes = head.regions["left_eyeball"] | head.regions["right_eyeball"]
    assert np.abs(head.action_basis[:, eyes]).max() == 0
    assert np.allclose(head.skinning_weights[head.regions["left_eyeball"], 3], 1)
    assert np.allclose(head.skinning_weights.sum(axis=1), 1, atol=1e-5)


def test_joints_come_along(registered, open_head):
    head, _ = registered
    here = head.joints(head.template)
    wanted = smooth_change(open_head.joints(open_head.template))
    error = np.linalg.norm(here - wanted, axis=1) * 1e3
    assert error[3:].max() < 1.0  # the eyes' centres
    assert error.max() < 8.0  # root, neck and jaw lie inside, where only their surroundings tell
    bigger = head.joints(head.template * np.float32(1.2))
    assert np.allclose(bigger, here * 1.2, atol=1e-4)


def test_triangles_across_seams_are_not_drawn_out(registered):
    head, _ = registered
    corners = head.uv_vertices[head.uv_triangles]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    # the open head's own longest is 0.15, over the crown; one laid over a seam would span half the atlas
    assert np.percentile(longest, 99.9) < 0.12 and longest.max() < 0.35
    assert len(head.uv_vertices) > head.vertex_count  # it has seams at all


def test_the_sheet_shows_both_heads_alike(registered, open_head):
    head, _ = registered
    sheet = registration_sheet(head, open_head)
    rows = len(sheet) // 6
    one, other = (sheet[k * rows : (k + 1) * rows].reshape(-1, 3).mean(axis=0) for k in (0, 1))
    assert np.abs(one - other).max() < 12  # the same colours through the same atlas
    assert sheet.std() > 20


def with_template(source, vertices):
    return replace(source, template=np.asarray(vertices, np.float32))


def test_a_head_that_looks_the_other_way_shows_no_face(known):
    with pytest.raises(UserError) as caught:
        register_head(with_template(known.source, known.source.template * [-1, 1, -1]), still_face_mesh)
    assert caught.value.code == "face_not_found" and "known" in caught.value.message and "+z" in caught.value.hint


def test_a_head_in_centimetres_is_refused_by_its_size(known):
    with pytest.raises(UserError) as caught:
        register_head(with_template(known.source, known.source.template * 100), still_face_mesh)
    assert caught.value.code == "head_scale"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: with_template(s, np.where(np.arange(len(s.template))[:, None] == 7, np.nan, s.template)), "finite"),
        (lambda s: replace(s, triangles=s.triangles + 1), "triangles"),
        (lambda s: replace(s, shape_basis=np.zeros((2, 5, 3), np.float32)), "shape_basis"),
        (lambda s: replace(s, expression_names=("jawOpen",)), "expression_basis"),
        (lambda s: replace(s, regions={"skin": np.ones(3, bool)}), "region skin"),
        (lambda s: replace(s, actions={"jawDrop": np.zeros_like(s.template)}), "jawDrop"),
        (lambda s: replace(s, template=s.template[:50]), "vertices"),
    ],
    ids=["nan", "triangles", "shapes", "expressions", "region", "action", "few"],
)
def test_arrays_that_contradict_each_other_are_refused(change, says, known):
    with pytest.raises(UserError) as caught:
        register_head(change(known.source), still_face_mesh)
    assert caught.value.code == "head_source" and says in caught.value.message
