"""The second real head: ICT-FaceKit from its archive to a head that is tracked with."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from backend.cli import app
from backend.errors import UserError
from backend.head_model import library
from backend.head_model.action_weights import solve_action_weights
from backend.head_model.gaze import FULL_LOOK_ANGLE, LOOK_ACTIONS
from backend.head_model.model import actions_of, surface_positions
from backend.head_model.surface import MeshSurface
from protocol.face_actions import ARKIT_ACTIONS

run = CliRunner()


@pytest.fixture(scope="module")
def ict(registered_ict, tmp_path_factory):
    """The head as the library gives it; that ``head add`` registers what it reads is tested with FLAME."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        library.add_head(registered_ict)
        yield library.load_head("ict")


def test_it_is_registered_as_well_as_the_prototype(ict):
    figures = {key: value for key, value in ict.provenance.items() if key.startswith("registration_")}
    assert float(figures["registration_surface_mean_mm"]) < 0.15  # the prototype reached 0.11 and 0.33
    assert float(figures["registration_surface_p95_mm"]) < 0.35
    assert float(figures["registration_flipped_surface"]) < 0.002
    assert float(figures["registration_flipped_atlas"]) < 0.02
    assert float(figures["registration_lid_gap_mm"]) < 0.7
    json.dumps(dict(ict.provenance))


def test_it_is_a_human_head_in_metres_with_credits(ict):
    eyes = ict.joints(ict.template)[3:5]
    assert 0.055 < np.linalg.norm(eyes[0] - eyes[1]) < 0.07 and eyes[0, 0] > 0
    assert "MIT" in ict.licence and "ICT" in ict.licence
    assert len(ict.shape_basis) == 100


def test_its_own_landmarks_agree_with_those_carried_over(ict, shared_data):
    with np.load(shared_data / "ict" / "ict_facekit.npz", allow_pickle=False) as data:
        own = data["neutral"][data["landmarks_68"]] * 0.01
    here = surface_positions(ict.landmarks["ibug68"], ict.triangles, ict.template)
    error = np.linalg.norm(here - own, axis=1) * 1e3
    # nose bridge, eyes and mouth are defined alike; jaw and brows are not
    assert np.mean(error[[27, 28, 29, 30, *range(36, 68)]]) < 4


def test_actions_have_arkit_names_and_sides(ict):
    names, basis = actions_of(ict)
    assert names == ARKIT_ACTIONS
    left = basis[names.index("mouthSmileLeft")]
    strength = np.linalg.norm(left, axis=1)
    assert (strength @ ict.template[:, 0]) / strength.sum() > 0.01
    both = ict.expression_basis[[ict.expression_names.index(f"browInnerUp{side}") for side in ("Left", "Right")]]
    assert np.allclose(basis[names.index("browInnerUp")], both.sum(axis=0), atol=1e-4)
    assert np.array_equal(ict.expression_bounds, np.tile([0, 1], (len(ict.expression_names), 1)))


def test_each_of_its_arkit_shapes_gives_its_own_weight_and_no_other(ict):
    shapes = [k for k, name in enumerate(ict.expression_names) if name in ARKIT_ACTIONS]
    own = [ARKIT_ACTIONS.index(ict.expression_names[k]) for k in shapes]
    gaze = np.zeros((len(shapes), 2, 2))
    for eye, looks in enumerate(LOOK_ACTIONS):  # an eye's look comes with its gaze
        for name, (axis, sign) in zip(looks, ((0, 1), (0, -1), (1, 1), (1, -1)), strict=True):
            gaze[shapes.index(ict.expression_names.index(name)), eye, axis] = sign * FULL_LOOK_ANGLE
    weights = solve_action_weights(ict, np.eye(len(ict.expression_names))[shapes], gaze)
    assert len(shapes) == 49
    hits = weights[np.arange(len(shapes)), own]
    assert hits.min() > 0.98
    weights[np.arange(len(shapes)), own] = 0
    assert weights.max() < 0.03


def test_teeth_and_tongue_follow_the_jaw(ict):
    names, basis = actions_of(ict)
    drop = -basis[names.index("jawOpen")][:, 1]
    teeth = ict.regions["teeth"]
    lower = teeth & (ict.template[:, 1] < np.median(ict.template[teeth, 1]))
    assert np.median(drop[lower]) > 0.01 and np.median(drop[ict.regions["tongue"]]) > 0.005


def test_irises_lie_on_the_eyeballs_in_front(ict):
    points = surface_positions(ict.landmarks["mediapipe478"], ict.triangles, ict.template)
    for index, side, joint in ((range(468, 473), "right_eyeball", 4), (range(473, 478), "left_eyeball", 3)):
        ball = ict.regions[side]
        near = MeshSurface(ict.template, ict.triangles, ball[ict.triangles].all(axis=1)).closest(points[list(index)])
        assert near.distance.max() < 1e-4
        centre = ict.joints(ict.template)[joint]
        forward = (points[list(index)] - centre)[:, 2] / np.linalg.norm(points[list(index)] - centre, axis=1)
        assert forward[0] > 0.99 and forward.min() > 0.85


def test_listing_shows_it_and_removing_takes_it_away(ict, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    library.add_head(ict, picture=b"png")
    listed = run.invoke(app, ["head", "list"], env={"COLUMNS": "200"})
    assert "ict" in listed.output and "MIT" in listed.output
    again = run.invoke(app, ["head", "add", "ict", str(tmp_path)])
    assert isinstance(again.exception, UserError) and again.exception.code == "head_exists"
    assert run.invoke(app, ["head", "remove", "ict"]).exit_code == 0
    assert [entry.name for entry in library.list_heads()] == ["open", "open1"]
    assert not library.picture_path("ict").exists()
