"""The committed open head does what its names say."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.head_model.builder import blink
from backend.head_model.builder.actions import swapped_side
from backend.head_model.library import load_head
from backend.head_model.model import JOINT_NAMES, posed_vertices, surface_positions

MM = 1000.0
PARTS = ("skin", "left_eyeball", "right_eyeball", "teeth", "tongue", "lashes")


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def mirror(head):
    distance, index = cKDTree(head.template).query(head.template * [-1, 1, 1])
    assert distance.max() < 1e-6
    return index


@pytest.fixture(scope="module")
def people(head):
    rng = np.random.default_rng(5)
    return [head.neutral(rng.normal(size=len(head.shape_basis))) for _ in range(12)]


def action(head, name):
    return head.expression_basis[head.expression_names.index(name)] * MM


def landmark(head, index, vertices):
    return surface_positions(head.landmarks["mediapipe478"], head.triangles, vertices)[index]


def test_every_vertex_belongs_to_one_part(head):
    assert (sum(head.regions[part].astype(int) for part in PARTS) == 1).all()
    inside = np.stack([head.regions[part][head.triangles] for part in PARTS])
    assert (inside.all(axis=2).sum(axis=0) == 1).all(), "no triangle joins two parts"


def test_surface_has_one_border_the_neck(head):
    skin = head.triangles[head.regions["skin"][head.triangles].all(axis=1)]
    edges = np.sort(np.concatenate([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    assert count.max() == 2
    border = head.template[np.unique(unique[count == 1])]
    plane = np.linalg.lstsq(np.c_[border[:, [0, 2]], np.ones(len(border))], border[:, 1], rcond=None)
    residual = np.c_[border[:, [0, 2]], np.ones(len(border))] @ plane[0] - border[:, 1]
    assert np.abs(residual).max() * MM < 5, "the neck cut is clean: on the mean head it stays near one plane"
    assert border[:, 1].max() < head.joints(head.template)[JOINT_NAMES.index("jaw"), 1]


def test_triangles_face_outwards(head):
    corners = head.template[head.triangles].astype(float)
    volume = np.einsum("fc,fc->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 2e-3 < volume < 8e-3, "litres of head, positive where triangles are counter-clockwise from outside"


def test_template_and_components_are_mirror_symmetric(head, mirror):
    flip = np.array([-1, 1, 1])
    for component in head.shape_basis:
        reflected = component[mirror] * flip
        even, odd = np.abs(component - reflected).max(), np.abs(component + reflected).max()
        assert min(even, odd) * MM < 0.02, "each identity component is symmetric or antisymmetric"


def test_actions_mirror_each_other(head, mirror):
    for name, offset in zip(head.expression_names, head.expression_basis, strict=True):
        other = head.expression_basis[head.expression_names.index(swapped_side(name))]
        assert np.abs(offset - other[mirror] * [-1, 1, 1]).max() * MM < 0.02, name


def test_fifty_two_bounded_arkit_actions(head):
    assert len(set(head.expression_names)) == 52
    assert {"jawOpen", "eyeBlinkLeft", "mouthSmileRight", "tongueOut", "browInnerUp"} <= set(head.expression_names)
    assert (head.expression_bounds == [0, 1]).all()


@pytest.mark.parametrize(
    ("name", "point", "axis", "direction"),
    [
        ("jawOpen", 152, 1, -1),
        ("jawForward", 152, 2, 1),
        ("jawLeft", 152, 0, 1),
        ("jawRight", 152, 0, -1),
        ("mouthSmileLeft", 291, 1, 1),
        ("mouthSmileRight", 61, 1, 1),
        ("mouthFrownLeft", 291, 1, -1),
        ("mouthFrownRight", 61, 1, -1),
        ("mouthLeft", 13, 0, 1),
        ("mouthRight", 13, 0, -1),
        ("mouthStretchLeft", 291, 0, 1),
        ("mouthStretchRight", 61, 0, -1),
        ("mouthUpperUpLeft", 311, 1, 1),
        ("mouthLowerDownRight", 88, 1, -1),
        ("mouthPucker", 0, 2, 1),
        ("browInnerUp", 107, 1, 1),
        ("browOuterUpLeft", 300, 1, 1),
        ("browOuterUpRight", 70, 1, 1),
        ("browDownLeft", 336, 1, -1),
        ("browDownRight", 107, 1, -1),
        ("eyeBlinkLeft", 386, 1, -1),
        ("eyeBlinkRight", 159, 1, -1),
        ("eyeWideLeft", 386, 1, 1),
        ("eyeWideRight", 159, 1, 1),
        ("eyeLookDownLeft", 386, 1, -1),
        ("eyeSquintLeft", 374, 1, 1),
        ("cheekPuff", 50, 2, 1),
        ("noseSneerLeft", 278, 1, 1),
        ("noseSneerRight", 48, 1, 1),
    ],
)
def test_action_moves_what_its_name_says(head, name, point, axis, direction):
    moved = landmark(head, point, action(head, name))
    assert moved[axis] * direction > 0.8, f"{name} moves landmark {point} by {moved} mm"
    if "Left" in name and not name.startswith(("jaw", "mouthLeft")):
        mirrored_point = {291: 61, 386: 159, 336: 107, 300: 70, 311: 81, 374: 145, 278: 48}[point]
        assert np.linalg.norm(landmark(head, mirrored_point, action(head, name))) < 0.3 * np.linalg.norm(moved)


def test_jaw_carries_lower_teeth_and_tongue_but_not_the_upper_teeth(head):
    moved = action(head, "jawOpen")
    teeth, tongue = head.regions["teeth"], head.regions["tongue"]
    drop = moved[teeth, 1]
    assert ((drop < -1) | (drop > -0.1)).all(), "the molars near the hinge move least"
    assert 0.4 < (drop < -1).mean() < 0.6 and drop.min() < -20
    assert np.median(moved[tongue, 1]) < -8
    assert action(head, "tongueOut")[tongue, 2].max() > 15


def test_actions_leave_the_eyeballs_to_the_gaze(head):
    for part in ("left_eyeball", "right_eyeball"):
        assert not head.expression_basis[:, head.regions[part]].any()


def visible_share(renderer, head, neutral, part):
    side = "Left" if part.startswith("left") else "Right"
    offset = head.expression_basis[head.expression_names.index(f"eyeBlink{side}")]
    mask = head.regions[part]
    opened = blink.visible_eyeball(renderer, head.triangles, neutral, mask).sum()
    assert opened > 1000
    return blink.visible_eyeball(renderer, head.triangles, neutral + offset, mask).sum() / opened


def test_blinks_close_the_eyes(head, people):
    with blink.eye_renderer() as renderer:
        for part in ("left_eyeball", "right_eyeball"):
            assert visible_share(renderer, head, head.template, part) < 0.01
        others = [visible_share(renderer, head, person, "left_eyeball") for person in people]
    assert np.mean(others) < 0.06 and max(others) < 0.2


def test_lashes_stay_on_the_lids_when_an_eye_blinks(head):
    lashes = np.flatnonzero(head.regions["lashes"] & (head.template[:, 0] > 0))
    lids = np.flatnonzero(head.regions["eyes"])
    for strength in (0.0, 1.0):
        vertices = head.template + strength * action(head, "eyeBlinkLeft") / MM
        distance, _ = cKDTree(vertices[lids]).query(vertices[lashes])
        assert distance.max() * MM < 5


def test_eye_joints_are_the_eyeballs_centres_for_everybody(head, people):
    for person in [head.template, *people]:
        joints = head.joints(person)
        for part, name in (("left_eyeball", "left_eye"), ("right_eyeball", "right_eye")):
            ball = person[head.regions[part]].astype(float)
            system = np.c_[2 * ball, np.ones(len(ball))]
            centre = np.linalg.lstsq(system, (ball**2).sum(axis=1), rcond=None)[0][:3]
            assert np.linalg.norm(centre - joints[JOINT_NAMES.index(name)]) * MM < 0.05


def test_origin_lies_between_the_eyes_and_joints_where_they_belong(head):
    root, neck, jaw, left, right = head.joints(head.template) * MM
    assert np.abs((left + right) / 2).max() < 0.05 and 55 < left[0] - right[0] < 68
    assert root[1] < neck[1] < 0 and jaw[1] < 0 and max(root[2], neck[2], jaw[2]) < -50
    assert np.abs([root[0], neck[0], jaw[0]]).max() < 0.05


@pytest.mark.parametrize(
    ("gaze", "axis", "direction"), [((0.3, 0), 0, 1), ((-0.3, 0), 0, -1), ((0, 0.3), 1, 1), ((0, -0.3), 1, -1)]
)
def test_gaze_turns_both_irises(head, people, gaze, axis, direction):
    person = people[0]
    turned = posed_vertices(head, person, np.zeros((1, 52)), np.array([[gaze, gaze]]))[0]
    for iris in (468, 473):
        moved = landmark(head, iris, turned) - landmark(head, iris, person)
        assert moved[axis] * direction * MM > 3
        assert abs(moved[1 - axis]) * MM < 0.2
    others = ~(head.regions["left_eyeball"] | head.regions["right_eyeball"])
    assert np.array_equal(turned[others], person[others])


def test_skinning_and_weights(head):
    assert np.allclose(head.skinning_weights.sum(axis=1), 1, atol=1e-5) and head.skinning_weights.min() >= 0
    eyes = head.regions["left_eyeball"] | head.regions["right_eyeball"]
    assert (head.skinning_weights[eyes][:, 3:].sum(axis=1) == 1).all()
    assert (head.skinning_weights[~eyes][:, 3:] == 0).all()
    jaw = head.skinning_weights[:, JOINT_NAMES.index("jaw")]
    chin = np.argmin(np.linalg.norm(head.template - landmark(head, 199, head.template), axis=1))
    crown = np.argmax(head.template[:, 1])
    assert jaw[chin] > 0.6 and jaw[crown] == 0
    assert head.vertex_weight[head.regions["face"] & head.regions["skin"]].min() == 1
    assert head.vertex_weight[head.regions["ears"]].min() == 1
    assert head.vertex_weight[crown] == pytest.approx(0.005)


def test_identities_vary_like_adults(head):
    rng = np.random.default_rng(0)
    eyes, widths = [], []
    for _ in range(200):
        person = head.neutral(rng.normal(size=len(head.shape_basis)))
        joints = head.joints(person)
        eyes.append(np.linalg.norm(joints[3] - joints[4]) * MM)
        face = person[head.regions["face"]]
        widths.append(np.ptp(face[:, 0]) * MM)
    assert 58 < np.mean(eyes) < 66 and 1.5 < np.std(eyes) < 6
    assert 110 < np.mean(widths) < 150 and np.std(widths) < 12


def test_eyes_look_straight_ahead_where_the_gaze_is_zero(head, people):
    """A pupil that is off its axis is read as a gaze that nobody has: 2 degrees of it shift everybody's."""
    for person in [head.template, *people]:
        for centre, joint in ((473, "left_eye"), (468, "right_eye")):
            axis = landmark(head, centre, person) - head.joints(person)[JOINT_NAMES.index(joint)]
            assert np.degrees(np.arccos(axis[2] / np.linalg.norm(axis))) < 0.05
