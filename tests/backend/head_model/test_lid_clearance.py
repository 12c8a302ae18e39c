"""Lids stay outside the eyeballs of any person, whatever the eye looks at and however the person's actions differ."""

from dataclasses import replace

import numpy as np
import pytest

from backend.export.blender import take_result
from backend.head_model.library import load_head
from backend.head_model.lid_clearance import with_clear_lids
from backend.head_model.model import JOINT_NAMES, posed_vertices
from backend.head_model.personal import with_corrections
from backend.track.geometry import person_of
from tests.backend.heads import small_head
from tests.backend.track.test_io import small_track

MM = 1000.0
SIDES = ("left", "right")
LOOKS = {"": (0, 0), "Down": (0, -25), "Up": (0, 25), "In": (-25, 0), "Out": (25, 0)}
"""Where the left eye looks in each of its actions, degrees."""


@pytest.fixture(scope="module")
def head():
    return load_head("open")


@pytest.fixture(scope="module")
def people(head):
    rng = np.random.default_rng(11)
    return [np.clip(rng.normal(size=len(head.shape_basis)), -2, 2) for _ in range(4)]


def sinking(head, seed):
    """Personal actions that draw the lids towards the eyes by up to 2 mm, as points without depth let them be."""
    rng = np.random.default_rng(seed)
    offsets = np.zeros(head.expression_basis.shape)
    for side, name in enumerate(("Left", "Right")):
        inwards = head.joints(head.template)[3 + side] - head.template
        inwards /= np.linalg.norm(inwards, axis=1, keepdims=True)
        for action in ("eyeBlink", "eyeLookDown", "eyeSquint"):
            mine = head.regions["lids"] & (head.template[:, 0] * (1 - 2 * side) > 0)
            share = 0.002 * rng.uniform(0, 1) * mine
            offsets[head.expression_names.index(action + name)] += share[:, None] * inwards
    return offsets.astype(np.float32)


def expression(head, weights):
    row = np.zeros((1, len(head.expression_names)), np.float32)
    for name, weight in weights.items():
        for side in ("Left", "Right"):
            row[0, head.expression_names.index(name + side)] = weight
    return row


def eyes_shown_through(head, neutral, weights, look):
    """How far the eyeballs' vertices at most lie outside the lids before them, millimetres; below 0 where inside.

    Of the vertices whose ray from the eye's centre meets a lid, but for those at the inner corner, where the eyeball is
    the caruncle's place.
    """
    yaw, pitch = np.radians(look)
    gaze = np.array([[[yaw, pitch], [-yaw, pitch]]])
    vertices = posed_vertices(head, neutral, expression(head, weights), gaze)[0].astype(np.float64)
    outer = head.regions["skin"] & ~head.regions["eye_sockets"] & ~head.regions["mouth_bag"]
    worst = -np.inf
    for side in SIDES:
        centre = head.joints(neutral)[JOINT_NAMES.index(f"{side}_eye")]
        near = outer & (np.linalg.norm(vertices - centre, axis=1) < 0.03)
        corners = vertices[head.triangles[near[head.triangles].all(axis=1)]] - centre
        ball = vertices[head.regions[f"{side}_eyeball"]] - centre
        radius = np.linalg.norm(ball, axis=1)
        towards = ball / radius[:, None]
        inner = towards[:, 0] * (1 if side == "left" else -1) < -0.6
        towards = towards[(towards[:, 2] > 0.4) & ~inner]
        weight = np.einsum("fij,nj->fni", np.linalg.pinv(corners.transpose(0, 2, 1)), towards)
        total = weight.sum(axis=2)
        reach = np.where((weight > -1e-6).all(axis=2) & (total > 0), 1 / np.where(total > 0, total, 1), -np.inf)
        lid = reach.max(axis=0)  # of several layers the outermost is seen
        worst = max(worst, (radius.mean() - lid[np.isfinite(lid)]).max())
    return worst * MM


@pytest.mark.parametrize("look", LOOKS)
def test_no_eye_shows_through_a_closed_lid_of_anybody(head, people, look):
    weights = {"eyeBlink": 1.0} | ({f"eyeLook{look}": 1.0} if look else {})
    before, after = [], []
    for seed, identity in enumerate(people):
        neutral = head.neutral(identity)
        for own in (head, with_corrections(head, sinking(head, seed))):
            for blink in (1.0, 0.7):
                state = weights | {"eyeBlink": blink}
                before.append(eyes_shown_through(own, neutral, state, LOOKS[look]))
                after.append(eyes_shown_through(with_clear_lids(own, neutral), neutral, state, LOOKS[look]))
    assert max(after) < 0.05, "not even where lids are thinnest"
    assert max(before) > 0.3, "these people's would"


def test_clear_lids_move_only_what_lids_do_and_hardly_where_they_were_clear(head):
    cleared = with_clear_lids(head, head.template)
    assert np.abs(cleared.expression_basis - head.expression_basis).max() * MM < 0.3
    person = with_corrections(head, sinking(head, 0))
    changed = np.abs(with_clear_lids(person, head.template).expression_basis - person.expression_basis).max(axis=2) > 0
    names = {name for name, moved in zip(head.expression_names, changed, strict=True) if moved.any()}
    assert names and all(name.startswith(("eye", "cheekSquint", "browDown")) for name in names)
    reach = np.abs(head.template - head.joints(head.template)[3]) * [1, 1, 0]
    left = changed[[n for n, name in enumerate(head.expression_names) if name.endswith("Left")]].any(axis=0)
    assert left.any() and np.linalg.norm(reach[left], axis=1).max() < 0.025
    assert np.array_equal(cleared.template, head.template)


def test_heads_without_lids_or_round_eyes_stay_as_they_are(head):
    other = small_head()
    assert with_clear_lids(other, other.template) is other
    unnamed = replace(head, expression_names=tuple(f"expression_{k}" for k in range(len(head.expression_names))))
    assert with_clear_lids(unnamed, head.template) is unnamed
    oval = head.template.copy()
    balls = head.regions["left_eyeball"] | head.regions["right_eyeball"]
    oval[balls, 1] *= 1.3
    assert with_clear_lids(head, oval) is head


def test_what_is_shown_of_a_track_has_clear_lids(head, people):
    """Overlays pose ``person_of``; Blender's scene has its shape keys."""
    neutral = head.neutral(people[1].astype(np.float32))
    track = replace(
        small_track(1),
        head_id=head.id,
        head_hash=head.hash,
        identity=people[1].astype(np.float32),
        deformation=np.zeros((0, 3), np.float32),
        expression=expression(head, {"eyeBlink": 1.0}),
        expression_sigma=np.zeros((0, 0), np.float32),
        action_corrections=sinking(head, 1).astype(np.float16),
    )
    assert (
        eyes_shown_through(with_corrections(head, track.action_corrections), neutral, {"eyeBlink": 1.0}, (0, 0)) > 0.3
    )
    assert eyes_shown_through(person_of(head, track), neutral, {"eyeBlink": 1.0}, (0, 0)) < 0.05
    scene = take_result(track, head, "take", {}).head
    deltas = scene.expression_deltas[:, : head.vertex_count]
    assert eyes_shown_through(replace(head, expression_basis=deltas), neutral, {"eyeBlink": 1.0}, (0, 0)) < 0.05
