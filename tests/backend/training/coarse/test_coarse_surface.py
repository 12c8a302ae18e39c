"""The open head in the losses' eyes is the open head, and silhouettes are where a ball's are known to be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, gaze_rotation, surface_positions
from backend.training.coarse.config import CoarseNetworkConfig
from backend.training.coarse.network import FEATURES, USUAL_SCALE, CoarseNetwork, facing
from backend.training.coarse.surface import (
    CoarseSurface,
    Coefficients,
    eye_rotation,
    in_crop,
    silhouette,
    special_pairs,
    vertex_normals,
)


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load_head("open")


@pytest.fixture(scope="module")
def surface(head: HeadModel) -> CoarseSurface:
    return CoarseSurface(head, 6)


def _coefficients(gaze: NDArray[np.float64] | None = None) -> Coefficients:
    random = np.random.default_rng(3)
    expression = np.zeros((1, 52), np.float32)
    expression[0, [5, 20]] = 0.5, 0.8
    look = np.zeros((1, 2, 2)) if gaze is None else gaze[None]
    return Coefficients(
        identity=torch.from_numpy(random.standard_normal((1, 6)).astype(np.float32)),
        expression=torch.from_numpy(expression),
        gaze=torch.from_numpy(look.astype(np.float32)),
        rotation=facing(torch.zeros(1, 6)),
        scale=torch.tensor([7.0]),
        shift=torch.tensor([[0.1, -0.2]]),
    )


def test_vertices_and_landmarks_are_the_heads_own(head: HeadModel, surface: CoarseSurface) -> None:
    told = _coefficients()
    expected = head.neutral(told.identity[0].numpy()) + np.einsum(
        "k,kvc->vc", told.expression[0].numpy(), head.expression_basis
    )
    vertices = surface.posed(told)
    np.testing.assert_allclose(vertices[0].numpy(), expected[surface.vertices], atol=1e-6)
    marks = surface_positions(head.landmarks["mediapipe478"], head.triangles, expected)
    np.testing.assert_allclose(surface.landmarks(vertices)[0].numpy(), marks, atol=1e-6)


def test_eyes_turn_about_their_joints_each_by_its_own_angle(head: HeadModel, surface: CoarseSurface) -> None:
    gaze = np.array([[0.3, -0.1], [0.0, 0.2]])
    still, turned = surface.posed(_coefficients()), surface.posed(_coefficients(gaze))
    joints = head.joints(head.neutral(_coefficients().identity[0].numpy()))[[3, 4]]  # JOINT_NAMES
    for side, ball in enumerate(("left_eyeball", "right_eyeball")):
        own = head.regions[ball][surface.vertices]
        expected = (still[0, own].numpy() - joints[side]) @ gaze_rotation(gaze[side]).T + joints[side]
        np.testing.assert_allclose(turned[0, own].numpy(), expected, atol=1e-6)
    skin = surface.face.numpy()
    np.testing.assert_array_equal(still[0, skin].numpy(), turned[0, skin].numpy())


def test_eye_rotations_are_the_head_models() -> None:
    gaze = np.random.default_rng(1).uniform(-0.7, 0.7, (5, 2, 2))
    np.testing.assert_allclose(eye_rotation(torch.from_numpy(gaze)).numpy(), gaze_rotation(gaze), atol=1e-12)


def _ball(rows: int = 60, columns: int = 120) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A unit ball about z: rings of vertices between the poles, which stay open, counter-clockwise from outside."""
    theta = np.linspace(0, np.pi, rows + 2)[1:-1, None]
    phi = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    ring = [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi]
    number = np.arange(rows * columns).reshape(rows, columns)
    a, b = number[:-1], number[1:]
    c, d = np.roll(b, -1, axis=1), np.roll(a, -1, axis=1)
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return np.stack(ring, -1).reshape(-1, 3), triangles


def test_a_balls_silhouette_is_its_equator() -> None:
    """A ball's normals are its own places: those within EDGE of the plane z = 0 are the silhouette, from any side."""
    vertices, triangles = _ball()
    inner = np.abs(vertices[:, 2]) < 0.99  # the open rims' normals lean outward
    normals = vertex_normals(torch.from_numpy(vertices[None]), torch.from_numpy(triangles))
    np.testing.assert_allclose(normals[0, inner].numpy(), vertices[inner], atol=0.02)
    edge = silhouette(normals, 0.15)[0].numpy()
    height = np.abs(vertices[:, 2])
    assert edge[height < 0.14].all()
    assert not edge[height > 0.16].any()
    about_x = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    turned = vertex_normals(torch.from_numpy(vertices[None] @ about_x.T), torch.from_numpy(triangles))
    edge = silhouette(turned, 0.15)[0].numpy()
    assert edge[inner & (np.abs(vertices[:, 1]) < 0.14)].all()
    assert not edge[np.abs(vertices[:, 1]) > 0.16].any()


def test_a_head_that_faces_the_camera_is_upright_in_the_crop(surface: CoarseSurface) -> None:
    told = _coefficients()
    place = in_crop(torch.tensor([[[0.0, 0, 0], [0.01, 0, 0], [0, 0.02, 0], [0, 0, 0.03]]]), told)[0]
    expected = [[0.1, -0.2, 0], [0.17, -0.2, 0], [0.1, -0.34, 0], [0.1, -0.2, -0.21]]
    torch.testing.assert_close(place, torch.tensor(expected))
    normals = surface.normals(surface.posed(told) @ told.rotation.mT)[0, surface.face]
    assert float((normals[:, 2] < 0).float().mean()) > 0.7  # a face's skin looks at who it faces


def test_special_pairs_are_apart_up_and_down(head: HeadModel) -> None:
    marks = surface_positions(head.landmarks["mediapipe478"], head.triangles, head.template)
    apart = marks[special_pairs()[:, 0]] - marks[special_pairs()[:, 1]]
    assert len(apart) == 11
    assert (apart[:, 1] > 0).all()  # the upper one first


def test_a_network_that_has_learnt_nothing_tells_about_the_mean_head() -> None:
    torch.manual_seed(0)
    network = CoarseNetwork(CoarseNetworkConfig(identity=6, hidden=8), 52).eval()
    told = network(torch.zeros(2, FEATURES))
    assert float(told.identity.detach().abs().max()) < 0.2
    assert float(told.expression.detach().max()) < 0.1
    assert float(told.scale[0].detach()) == pytest.approx(USUAL_SCALE, rel=0.1)
    torch.testing.assert_close(told.rotation.det(), torch.ones(2))
    torch.testing.assert_close(told.rotation, torch.diag(torch.tensor([1.0, -1, -1])).expand(2, 3, 3), atol=0.1, rtol=0)
