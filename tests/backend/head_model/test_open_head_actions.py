"""The committed open head's actions: as strong as scanned people's, and nothing passes through anything else."""

import json

import numpy as np
import pytest

from backend.head_model import render
from backend.head_model.builder.lips import CLOSED, Lips, find_lips
from backend.head_model.builder.mouth import upper_teeth
from backend.head_model.converters.ict import read_ict
from backend.head_model.drawing import Drawing
from backend.head_model.gaze import FULL_LOOK_ANGLE
from backend.head_model.library import load_head
from backend.head_model.lid_clearance import SKIN, STATES
from backend.head_model.model import SurfacePoints, surface_positions
from backend.head_model.registration.parts import parts_of, parts_of_open_head
from backend.head_model.rims import walk_rim

MM = 1000.0


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def people(head):
    rng = np.random.default_rng(5)
    return [head.template] + [head.neutral(rng.normal(size=len(head.shape_basis))) for _ in range(3)]


@pytest.fixture(scope="module")
def teeth(head):
    """Masks (V,) of the upper and the lower row."""
    upper = upper_teeth(head.triangles, head.regions["teeth"], head.template)
    return upper, head.regions["teeth"] & ~upper


@pytest.fixture(scope="module")
def lips(head) -> Lips:
    return find_lips(head.triangles, head.regions, head.template.astype(float), offsets(head, {"jawOpen": 1}))


def offsets(head, weights):
    rows = [head.expression_names.index(name) for name in weights]
    return np.tensordot(list(weights.values()), head.expression_basis[rows].astype(float), axes=1)


def test_amplitudes_are_written_down(head):
    told = json.loads(head.provenance["amplitudes_mm"])
    skin = ~head.regions["lashes"]
    for name, basis in zip(head.expression_names, head.expression_basis, strict=True):
        assert told[name] == pytest.approx(np.linalg.norm(basis[skin], axis=1).max() * MM, abs=0.1), name
    least = {
        "browOuterUpLeft": 7.7, "browInnerUp": 5.6, "noseSneerLeft": 9.4, "mouthRollLower": 13.1, "mouthLeft": 17.9,
        "eyeLookDownLeft": 6.7, "mouthShrugLower": 10.1, "mouthPucker": 12.1, "mouthPressLeft": 3.7,
    }  # fmt: skip
    assert all(amplitude <= told[name] < 1.2 * amplitude for name, amplitude in least.items())


@pytest.mark.slow
def test_actions_are_as_strong_as_the_scans_they_are_from(head, shared_data):
    source = read_ict(shared_data / "ict" / "ict_facekit.npz")
    outer = parts_of(source)["outer"]
    theirs = dict(zip(source.expression_names, source.expression_basis, strict=True)) | dict(source.actions)
    told = json.loads(head.provenance["amplitudes_mm"])
    for name, amplitude in told.items():
        if name not in ("tongueOut", "eyeBlinkLeft", "eyeBlinkRight", "mouthClose"):  # what the builder changes
            scanned = np.linalg.norm(theirs[name][outer], axis=1).max() * MM
            assert amplitude == pytest.approx(scanned, rel=0.05), name


def test_upper_teeth_belong_to_the_skull_and_lower_ones_with_the_tongue_to_the_jaw(head, teeth):
    upper, lower = teeth
    assert upper.sum() == lower.sum() and head.template[upper, 1].mean() > head.template[lower, 1].mean()
    assert not head.expression_basis[:, upper].any()
    carried = lower | head.regions["tongue"]
    system = np.c_[head.template[carried], np.ones(carried.sum())].astype(float)
    moving = set()
    for name, basis in zip(head.expression_names, head.expression_basis.astype(float), strict=True):
        if name == "tongueOut":
            assert not basis[lower].any()
            continue
        fitted = np.linalg.lstsq(system, basis[carried], rcond=None)[0]
        assert np.abs(system @ fitted - basis[carried]).max() * MM < 0.05, f"{name} moves them as one body"
        if np.abs(basis[carried]).max() * MM > 0.5:
            moving.add(name)
            stretch = np.linalg.svd(np.eye(3) + fitted[:3], compute_uv=False)
            assert np.abs(stretch - 1).max() < 0.03, f"{name} turns and shifts them"
    assert moving == {"jawOpen", "jawForward", "jawLeft", "jawRight"}


def test_tongue_rests_behind_and_below_the_lower_teeth(head, teeth):
    _, lower = teeth
    row, tongue = head.template[lower] * MM, head.template[head.regions["tongue"]] * MM
    assert tongue[:, 2].max() < row[:, 2].max() - 5
    for depth in np.arange(-20, 10, 5):
        edge = row[np.abs(row[:, 2] - depth) < 6, 1].max()
        back = tongue[np.abs(tongue[:, 2] - depth) < 4]
        assert not len(back) or back[:, 1].max() < edge - 0.5, f"at {depth} mm"


def test_tongue_comes_out_past_the_lips_over_the_lower_teeth(head, teeth):
    vertices = head.template + offsets(head, {"tongueOut": 1, "jawOpen": 0.35})
    tongue, lips = vertices[head.regions["tongue"]] * MM, vertices[head.regions["lips"]] * MM
    assert tongue[:, 2].max() > lips[:, 2].max() + 10
    row = vertices[teeth[1]] * MM
    above = tongue[np.abs(tongue[:, 2] - row[:, 2].max()) < 4]
    front = row[row[:, 2] > row[:, 2].max() - 3]
    assert len(above) and above[:, 1].min() > front[:, 1].max() - 1


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_no_lid_sinks_into_the_eye(head, side):
    joint = head.joints(head.template)[3 if side == "Left" else 4].astype(float)
    ball = head.template[head.regions[f"{side.lower()}_eyeball"]] - joint
    radius = np.linalg.norm(ball, axis=1).mean()
    rest = np.linalg.norm(head.template - joint, axis=1) - radius
    lids = head.regions["lids"] & (head.template[:, 2] > joint[2]) & (rest < 0.006)
    assert lids.sum() > 80
    for state in STATES:
        moved = head.template + offsets(head, {f"{name}{side}": weight for name, weight in state.items()})
        sunk = np.minimum(rest, SKIN) - (np.linalg.norm(moved - joint, axis=1) - radius)
        assert sunk[lids].max() * MM < 0.05, state


def test_lids_follow_the_gaze_as_people_s_do(head):
    """The upper lid's edge turns about the eye by 0.9 to 1 of a downward gaze (Becker and Fuchs 1988)."""
    points, eye = head.landmarks["mediapipe478"], head.joints(head.template)[3].astype(float)
    edge = SurfacePoints(points.triangle[[385, 386, 387]], points.barycentric[[385, 386, 387]])
    angles = []
    for weights in ({}, {"eyeLookDownLeft": 1.0}):
        place = surface_positions(edge, head.triangles, head.template + offsets(head, weights)) - eye
        angles.append(np.arctan2(place[:, 1], place[:, 2]).mean())
    assert 0.88 < (angles[0] - angles[1]) / FULL_LOOK_ANGLE < 1.02


def test_mouth_close_closes_what_jaw_open_opened(head, lips):
    middle = slice(4, -4)  # of 41 columns from corner to corner
    for share in (0.5, 1.0):
        gaps = lips.gaps(head.template + offsets(head, {"jawOpen": share, "mouthClose": share})) * MM
        assert gaps[middle].max() < 1 and gaps[middle].min() > -1, "neither apart nor through each other"
    assert lips.gaps(head.template + offsets(head, {"jawOpen": 1})).max() * MM > 25


@pytest.mark.parametrize("weights", [*({name: 1.0} for name in CLOSED), {"mouthRollLower": 1.0, "mouthRollUpper": 1.0}])
def test_lips_stay_together(head, lips, weights):
    apart = lips.gaps(head.template + offsets(head, weights)) - lips.gaps(head.template.astype(float))
    assert apart.max() * MM < 0.6


@pytest.mark.slow
def test_no_tooth_shows_through_a_lip(head, people):
    """Seen from the front, from a side, from above and below, no tooth hides the skin of a lip behind it."""
    own, drawing = parts_of_open_head(head), Drawing.of(head)
    rim = walk_rim(head.triangles, own["outer"], own["mouth_bag"], 2)
    grown = np.cumsum([head.vertex_count, *(len(item.places()) for item in drawing.grown)])
    teeth = (drawing.triangles >= grown[2]).all(axis=1)  # after brows and lashes: teeth and gums
    plain = (drawing.triangles < head.vertex_count).all(axis=1)
    outer = np.zeros(grown[-1], bool)
    outer[: head.vertex_count] = own["outer"]
    outer[np.concatenate(rim.outward)] = False
    skin = outer[drawing.triangles].all(axis=1) & plain
    smile = {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "mouthUpperUpLeft": 0.5, "mouthLowerDownRight": 0.5}
    states = [*({name: 1.0} for name in CLOSED), {"mouthRollLower": 1.0}, {"mouthShrugLower": 1.0}, smile]
    states += [{"mouthRollLower": 1.0, "mouthRollUpper": 1.0}, {"jawOpen": 0.7, "mouthClose": 0.7}]
    target = head.template[head.regions["lips"]].mean(axis=0).tolist()
    with render.HeadRenderer((240, 180)) as renderer:
        for state in states:
            for person in people:
                vertices = drawing.vertices(person + offsets(head, state))
                for yaw, pitch in ((0.0, 0.0), (0.6, 0.0), (0.0, 0.25), (0.0, -0.25)):
                    camera = render.look_at_head(2.0, yaw, pitch, target)
                    lens = {"focal_px": 4500.0, "principal_point": (120.0, 90.0), "world_to_camera": camera}
                    whole = renderer.surface(vertices, drawing.triangles[plain | teeth], **lens)
                    bare = renderer.surface(vertices, drawing.triangles[plain], **lens)
                    tooth = (whole.triangle >= 0) & teeth[plain | teeth][np.maximum(whole.triangle, 0)]
                    lip = (bare.triangle >= 0) & skin[plain][np.maximum(bare.triangle, 0)]
                    through = tooth & lip
                    through[through] = bare.depth[through] - whole.depth[through] < 0.006
                    assert through.sum() < 10, (state, yaw, pitch)
