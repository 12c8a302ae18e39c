"""Rendered samples: repeatable, and labelled with where things really are in the picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.alignment.flowface.crop import CropLayout
from backend.head_model.library import load_head
from backend.head_model.model import actions_of, posed_vertices
from backend.head_model.render import HeadRenderer, vertex_normals
from backend.training.atlas_points import atlas_points, with_landmarks
from backend.training.samples import NOMINAL, SAMPLE_SIDE, Sample
from backend.training.synthetic.actors import Actor
from backend.training.synthetic.expressions import perform_piece
from backend.training.synthetic.source import Shot, SyntheticSource, draw_shot
from backend.training.synthetic.views import draw_pose, posed
from protocol.face_actions import ARKIT_ACTIONS

pytestmark = pytest.mark.slow

F64 = NDArray[np.float64]
STRAIGHT = posed(0.0, 0.0, 0.0, np.array([0.0, 0.0, 0.7]))


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def shot_of(source: SyntheticSource, actor: int, piece: str | None = None) -> Shot:
    """The mean person, from the front."""
    shot = draw_shot(source.actors, rng(0))
    performance = replace(perform_piece(piece or "smile"), strengths=np.zeros(52, np.float32))
    return Shot(
        actor, np.zeros(len(source.actors[actor].modes)), perform_piece(piece) if piece else performance, STRAIGHT,
        shot.skin,
    )  # fmt: skip


def open_vertices(source: SyntheticSource, shot: Shot) -> tuple[F64, F64]:
    """The actor's and the open head's vertices in camera space, the slow way."""
    actor = source.actors[shot.actor]
    local = actor.posed(actor.neutral(shot.identity), shot.performance.strengths, shot.performance.gaze)
    middle = local[actor.face].mean(axis=0)
    own = (local - middle) @ shot.pose.rotation.T + shot.pose.place
    return own.astype(np.float64), actor.open_vertices.on(own)


def similarity(source: F64, target: F64) -> F64:
    """``source`` (n,2) scaled and shifted onto ``target`` by least squares."""
    one, other = source - source.mean(axis=0), target - target.mean(axis=0)
    return one * ((one * other).sum() / (one**2).sum()) + target.mean(axis=0)


def equal(one: Sample, other: Sample) -> bool:
    names = ("image", "mu", "weight", "visible", "foreground")
    return one.crop == other.crop and all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def test_the_same_generator_gives_the_same_sample_whatever_came_before(open_source: SyntheticSource) -> None:
    first = open_source.sample(3, rng(1, 3))
    other = open_source.sample(4, rng(1, 4))
    assert equal(first, open_source.sample(3, rng(1, 3)))
    assert not equal(first, other)


def test_pictures_of_another_size_show_the_same_in_as_many_more_pixels(open_source: SyntheticSource) -> None:
    small = open_source.sample(5, rng(4, 5))
    with SyntheticSource(nominal=2 * NOMINAL) as larger:
        large = larger.sample(5, rng(4, 5))
    assert large.image.shape == (2 * SAMPLE_SIDE, 2 * SAMPLE_SIDE, 3)
    assert np.abs(large.mu - 2 * small.mu).max() < 0.01
    assert large.crop.side == pytest.approx(2 * small.crop.side)
    halved = cv2.resize(large.image, small.image.shape[:2], interpolation=cv2.INTER_AREA)
    face = cv2.erode(small.foreground, np.ones((9, 9), np.uint8)) == 255
    assert np.abs(halved.astype(int) - small.image)[face].mean() < 6, "the head, sharper"
    outline = (large.foreground > 127)[::2, ::2] != (small.foreground > 127)
    assert outline.mean() < 0.02


def test_makehumans_people_do_what_scans_do_in_their_own_way(open_source: SyntheticSource) -> None:
    own, makehuman = (open_source.actors[n] for n in range(2))
    assert (own.name, makehuman.name) == ("open", "makehuman")
    assert np.array_equal(own.uv, makehuman.uv)
    smiles = [actor.actions[ARKIT_ACTIONS.index("mouthSmileLeft")].reshape(-1, 3) for actor in (own, makehuman)]
    lips = load_head("open").regions["lips"]
    moved = [np.linalg.norm(smile[lips], axis=1).max() for smile in smiles]
    assert min(moved) > 0.004
    assert np.linalg.norm(smiles[0] - smiles[1], axis=1).max() > 0.002


def test_another_renderer_gives_the_same_sample(open_source: SyntheticSource) -> None:
    here = open_source.sample(8, rng(2, 8))
    with SyntheticSource() as fresh:
        there = fresh.sample(8, rng(2, 8))
    assert equal(here, there)


@pytest.mark.parametrize("seed", range(6))
def test_a_sample_has_its_shapes_and_finite_labels(open_source: SyntheticSource, seed: int) -> None:
    sample = open_source.sample(seed, rng(7, seed))
    count = len(atlas_points(load_head("open")))
    assert sample.image.shape == (SAMPLE_SIDE, SAMPLE_SIDE, 3) and sample.image.dtype == np.uint8
    assert sample.foreground.shape == (SAMPLE_SIDE, SAMPLE_SIDE) and sample.foreground.dtype == np.uint8
    assert sample.mu.shape == (count, 2) and sample.mu.dtype == np.float32 and np.isfinite(sample.mu).all()
    assert sample.weight.shape == (count,) and np.isfinite(sample.weight).all() and (sample.weight >= 0).all()
    assert sample.visible.shape == (count,) and sample.visible.dtype == bool


@pytest.mark.parametrize("seed", range(8))
def test_the_crop_is_the_layouts_and_fills_the_middle(open_source: SyntheticSource, seed: int) -> None:
    sample = open_source.sample(seed, rng(11, seed))
    head = load_head("open")
    layout = CropLayout.of(head)
    crop = layout.crop(sample.mu[: head.vertex_count].astype(np.float64), NOMINAL)
    assert (sample.crop.x, sample.crop.y, sample.crop.side) == pytest.approx(
        (SAMPLE_SIDE / 2, SAMPLE_SIDE / 2, NOMINAL), abs=0.01
    )
    assert (crop.x, crop.y, crop.side) == pytest.approx((sample.crop.x, sample.crop.y, sample.crop.side), abs=0.01)
    inside = sample.crop.points_from_image(sample.mu[layout.face].astype(np.float64))
    assert inside.min() > 0 and inside.max() < NOMINAL


def test_points_lie_where_another_renderers_triangles_are(open_source: SyntheticSource) -> None:
    head = load_head("open")
    for seed in range(4):
        shot = draw_shot(open_source.actors[:1], rng(21, seed))
        sample = open_source.render(shot, seed, rng(22, seed), dressed=False)
        expression = np.zeros(len(head.expression_names), np.float32)
        for name, strength in zip(actions_of(head)[0], _ordered(head, shot), strict=True):
            expression[head.expression_names.index(name)] = strength
        local = posed_vertices(head, head.neutral(shot.identity), expression[None], shot.performance.gaze[None])[0]
        points = with_landmarks(head, (local - local.mean(axis=0)) @ shot.pose.rotation.T)
        middle = (local[open_source.actors[0].face] - local.mean(axis=0)).mean(axis=0) @ shot.pose.rotation.T
        points += shot.pose.place - middle
        wanted = similarity(points[:, :2] / points[:, 2:], sample.mu.astype(np.float64))
        assert np.abs(wanted - sample.mu).max() < 0.05


def _ordered(head: object, shot: Shot) -> list[float]:
    from backend.head_model.model import HeadModel
    from protocol.face_actions import ARKIT_ACTIONS

    assert isinstance(head, HeadModel)
    return [float(shot.performance.strengths[ARKIT_ACTIONS.index(name)]) for name in actions_of(head)[0]]


def seen_triangles(actor: Actor, vertices: F64, mu: F64, points: F64) -> NDArray[np.int32]:
    """The triangle of ``actor`` that another renderer sees at each pixel of the sample's picture."""
    ideal = points[:, :2] / points[:, 2:]
    focal = float(np.ptp(mu[:, 0]) / np.ptp(ideal[:, 0]))
    centre = mu[0] - focal * ideal[0]
    with HeadRenderer((SAMPLE_SIDE, SAMPLE_SIDE)) as renderer:
        return renderer.surface(
            vertices[actor.drawn],
            actor.triangles,
            focal_px=focal,
            principal_point=(float(centre[0]), float(centre[1])),
            world_to_camera=np.eye(3, 4),
        ).triangle


def visible_on_own_triangle(source: SyntheticSource, actor: int) -> float:
    """Share of visible, known points that lie within a pixel of a triangle they belong to."""
    right = []
    for seed in range(5):
        shot = replace(draw_shot(source.actors[actor : actor + 1], rng(31, seed)), actor=actor)
        sample = source.render(shot, seed, rng(32, seed), dressed=False)
        own, on_open = open_vertices(source, shot)
        who = source.actors[actor]
        count = len(on_open)
        seen = seen_triangles(who, own, sample.mu[:count].astype(np.float64), on_open)
        chosen = np.flatnonzero(sample.visible[:count] & (sample.weight[:count] > 0.5))
        normals = vertex_normals(on_open, load_head("open").triangles)
        facing = np.einsum("nc,nc->n", normals, on_open) / np.linalg.norm(on_open, axis=1) < -0.3
        for index in chosen[facing[chosen]]:
            column, row = np.floor(sample.mu[index]).astype(int)
            window = seen[row - 1 : row + 2, column - 1 : column + 2].ravel()
            corners = who.drawn[who.triangles[window[window >= 0]]]
            near = np.linalg.norm(own[corners.ravel()] - on_open[index], axis=1).min(initial=1.0)
            right.append(near < 0.006)
    return float(np.mean(right))


def test_visible_points_of_the_open_head_lie_on_what_is_drawn_there(open_source: SyntheticSource) -> None:
    assert visible_on_own_triangle(open_source, 0) > 0.98


def test_visible_points_of_the_ict_head_lie_on_what_is_drawn_there(both_source: SyntheticSource) -> None:
    assert visible_on_own_triangle(both_source, 1) > 0.98


def test_turned_away_points_are_hidden(open_source: SyntheticSource) -> None:
    head = load_head("open")
    shot = replace(shot_of(open_source, 0), pose=posed(np.deg2rad(80.0), 0.0, 0.0, np.array([0, 0, 0.7])))
    sample = open_source.render(shot, 0, rng(5), dressed=False)
    x = head.template[:, 0]
    # Yaw turns to the subject's left, so that the camera sees its right side.
    assert sample.visible[: head.vertex_count][head.regions["ears"] & (x > 0)].mean() < 0.05
    assert sample.visible[: head.vertex_count][head.regions["ears"] & (x < 0)].mean() > 0.5


def test_the_foreground_is_the_head(open_source: SyntheticSource) -> None:
    shot = shot_of(open_source, 0)
    one = open_source.render(shot, 0, rng(1), dressed=False)
    other = open_source.render(shot, 0, rng(1), dressed=False)
    assert np.array_equal(one.foreground, other.foreground)
    assert one.foreground[SAMPLE_SIDE // 2, SAMPLE_SIDE // 2] == 255
    assert one.foreground[2, 2] == 0
    column, row = np.floor(one.mu[one.visible & (one.weight > 0.5)].T).astype(int)
    assert (cv2.dilate(one.foreground, np.ones((3, 3), np.uint8))[row, column] > 0).mean() > 0.99


def test_poses_cover_profile_and_tilted_heads() -> None:
    angles = np.rad2deg([draw_pose(rng(41, n)).angles for n in range(3000)])
    yaw, pitch, roll = np.abs(angles).T
    assert 80 < yaw.max() <= 90 and (angles[:, 0] > 60).any() and (angles[:, 0] < -60).any()
    assert 35 < pitch.max() <= 45 and 25 < roll.max() <= 30
    assert 0.45 < (yaw < 30).mean() < 0.65


@pytest.mark.parametrize("yaw, pitch, roll", [(0.5, 0, 0), (0, 0.4, 0), (0, 0, 0.3)])
def test_angles_turn_the_head_as_named(yaw: float, pitch: float, roll: float) -> None:
    pose = posed(yaw, pitch, roll, np.zeros(3))
    assert Rotation.from_matrix(pose.rotation).as_matrix() == pytest.approx(pose.rotation)
    gaze, up = pose.rotation @ (0, 0, 1), pose.rotation @ (0, 1, 0)
    if yaw:
        assert gaze[0] == pytest.approx(np.sin(yaw))  # the subject's left is the picture's right
    if pitch:
        assert gaze[1] == pytest.approx(-np.sin(pitch))
    if roll:
        assert up[0] == pytest.approx(np.sin(roll))


def test_closed_eyes_are_closed_and_a_scream_opens_the_mouth(both_source: SyntheticSource) -> None:
    count = load_head("open").vertex_count
    for actor in range(2):
        rest, blink, scream = (
            both_source.render(shot_of(both_source, actor, piece), 0, rng(1), dressed=False).mu[count:]
            for piece in (None, "closed eyes", "scream")
        )
        lids, lips = [(386, 374), (159, 145)], (13, 14)
        for upper, lower in lids:
            assert abs(blink[upper, 1] - blink[lower, 1]) < 0.25 * abs(rest[upper, 1] - rest[lower, 1])
        assert scream[lips[1], 1] - scream[lips[0], 1] > 0.12 * NOMINAL > 3 * abs(rest[lips[1], 1] - rest[lips[0], 1])


def test_ict_people_are_of_the_training_split(both_source: SyntheticSource, shared_data: object) -> None:
    from pathlib import Path

    from backend.head_model.converters.ict import read_ict

    source = read_ict(Path(str(shared_data)) / "ict" / "ict_facekit.npz")
    modes = both_source.actors[-1].modes.reshape(-1, *source.template.shape)
    # The kept modes are the even ones: what the odd ones move is in no mixture of them.
    assert np.abs(modes - source.shape_basis[0::2]).max() < 2e-5


def test_points_without_a_counterpart_on_the_ict_head_do_not_count(both_source: SyntheticSource) -> None:
    head = load_head("open")
    weight = both_source.render(shot_of(both_source, len(both_source.actors) - 1), 0, rng(1)).weight[
        : head.vertex_count
    ]
    for region in ("teeth", "tongue", "lashes", "mouth_bag", "eye_sockets"):
        assert (weight[head.regions[region] & ~head.regions["lips"]] == 0).all(), region
    face = head.regions["face"] & head.regions["skin"]
    assert (weight[face] > 0).mean() > 0.97


def test_lips_of_the_ict_head_part_where_the_open_heads_do(both_source: SyntheticSource) -> None:
    head = load_head("open")
    moved = []
    for actor in (0, len(both_source.actors) - 1):
        rest, scream = (open_vertices(both_source, shot_of(both_source, actor, p))[1] for p in (None, "scream"))
        moved.append((scream - rest)[head.regions["lips"], 1])
    upper, lower = np.abs(moved[0]) < 0.006, moved[0] > 0.02
    assert (np.abs(moved[1][upper]) < 0.012).all() and (moved[1][lower] > 0.012).all()
