"""The coarse regressor's losses against values worked out by hand (seeds/004, supplement §6.1)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.training.coarse.losses import (
    landmark_loss,
    pairs_loss,
    photometric_loss,
    regularisation_loss,
    rotation_loss,
    silhouette_loss,
    spherical_harmonics,
    swapped,
    truth_loss,
)

D = torch.float64
POINTS = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]], dtype=D)
TARGET = torch.tensor([[[0.5, -0.25], [1.0, 1.0], [0.0, 0.0]]], dtype=D)


def test_landmarks_by_the_sum_of_both_axes() -> None:
    """|0.5| + |0.25|, 0 and 2, of which the last counts half: (0.75 + 1) / 2.5."""
    weight = torch.tensor([[1.0, 1.0, 0.5]], dtype=D)
    assert float(landmark_loss(POINTS, TARGET, weight)) == pytest.approx(1.75 / 2.5)
    assert float(landmark_loss(POINTS, TARGET, 0 * weight)) == 0


def test_pairs_look_at_differences_alone() -> None:
    """Both ends off by the same is no loss; one end off by (−2, 0) is 2. An unknown end takes its pair out."""
    pairs = torch.tensor([[0, 1], [1, 2]])
    ones = torch.ones(1, 3, dtype=D)
    assert float(pairs_loss(POINTS + 5, POINTS, ones, pairs)) == pytest.approx(0)
    moved = POINTS + torch.tensor([[[0, 0], [0, 0], [-2.0, 0]]], dtype=D)
    assert float(pairs_loss(moved, POINTS, ones, pairs)) == pytest.approx((0 + 2) / 2)
    unknown = torch.tensor([[1.0, 1.0, 0.0]], dtype=D)
    assert float(pairs_loss(moved, POINTS, unknown, pairs)) == pytest.approx(0)


def test_the_outline_is_compared_with_the_nearest_silhouette_vertex() -> None:
    """Of the points, the second is nearest to (1, 1.3) but not on the silhouette; the first is √(1 + 1.69) away."""
    edge = torch.tensor([[True, False, False]])
    target = torch.tensor([[[1.0, 1.3], [9.0, 9.0]]], dtype=D)
    known = torch.tensor([[True, False]])
    assert float(silhouette_loss(POINTS, edge, target, known)) == pytest.approx(math.sqrt(2.69))
    assert float(silhouette_loss(POINTS, torch.ones_like(edge), target, known)) == pytest.approx(0.3)
    assert float(silhouette_loss(POINTS, torch.zeros_like(edge), target, known)) == 0


def test_only_the_nearest_silhouette_vertex_is_pulled() -> None:
    points = POINTS.clone().requires_grad_()
    target = torch.tensor([[[1.0, 1.3]]], dtype=D)
    loss = silhouette_loss(points, MASK, target, torch.ones(1, 1, dtype=torch.bool))
    (pulled,) = torch.autograd.grad(loss, points)
    torch.testing.assert_close(pulled[0], torch.tensor([[0, 0], [0, -1.0], [0, 0]], dtype=D))


def test_regularisation_is_the_squared_lengths() -> None:
    """(9 + 16 + 0.25) of one picture, 0 of the other."""
    identity = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    expression = torch.tensor([[0.5], [0.0]])
    assert float(regularisation_loss(identity, expression)) == pytest.approx(25.25 / 2)


def test_one_persons_pictures_swap_their_identities() -> None:
    identity = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    assert swapped(identity).flatten().tolist() == [2, 1, 4, 3]


def test_rotations_are_apart_by_about_the_angle() -> None:
    """|R − R'|_F = 2√2 sin(θ/2): √2·that over 2 is 2 sin(θ/2)."""
    angle = 0.4
    turned = torch.tensor([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]])
    loss = rotation_loss(torch.stack([turned, turned]), torch.eye(3).expand(2, 3, 3), torch.tensor([1.0, 0.0]))
    assert float(loss) == pytest.approx(2 * math.sin(angle / 2))


def test_vertices_are_apart_by_their_distance() -> None:
    vertices = torch.tensor([[[0.0, 0, 0], [3.0, 4.0, 0], [7.0, 0, 0]]])
    assert float(truth_loss(vertices, 0 * vertices, torch.tensor([[1.0, 1.0, 0.0]]))) == pytest.approx(2.5)


def test_harmonics_are_orthonormal_over_the_sphere() -> None:
    """Over many random directions the mean of products, times 4π, is the unit matrix."""
    directions = torch.from_numpy(np.random.default_rng(1).standard_normal((200_000, 3)))
    harmonics = spherical_harmonics(directions / directions.norm(dim=1, keepdim=True))
    gram = 4 * math.pi * harmonics.mT @ harmonics / len(harmonics)
    torch.testing.assert_close(gram, torch.eye(9, dtype=D), atol=0.02, rtol=0)


def _ball(count: int = 400) -> tuple[Tensor, Tensor]:
    """Points (1,n,2) on a ball seen from the front, and its normals (1,n,3) towards the camera (z forward)."""
    random = np.random.default_rng(2)
    normals = random.standard_normal((count, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    normals[:, 2] = -np.abs(normals[:, 2])
    return torch.from_numpy(normals[None, :, :2] * 0.8), torch.from_numpy(normals[None])


def _lit_picture(size: int = 64) -> Tensor:
    """(1,3,size,size) of the ball of ``_ball`` under a light of band 1 and ambient, which nine harmonics span."""
    middle = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(middle / 0.8, middle / 0.8)
    z = -np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    shade = 0.5 + 0.2 * x - 0.1 * y - 0.2 * z
    return torch.from_numpy(np.stack([shade, 0.8 * shade, 0.6 * shade])[None])


def test_a_ball_under_a_smooth_light_is_explained_and_one_elsewhere_is_not() -> None:
    points, normals = _ball()
    seen = normals[..., 2] < -0.3
    albedo = torch.ones(points.shape[1], 3, dtype=D)
    right = float(photometric_loss(_lit_picture(), points, normals, seen, albedo))
    aside = float(photometric_loss(_lit_picture(), points.flip(1), normals, seen.flip(1), albedo))
    assert right < 0.012 < 0.1 < aside
    nothing = torch.zeros_like(seen)
    assert float(photometric_loss(_lit_picture(), points, normals, nothing, albedo)) == pytest.approx(0)


def test_the_light_is_told_by_albedo_times_shade() -> None:
    """A picture half as bright on a skin half as dark is under the same light: the loss stays as good."""
    points, normals = _ball()
    seen = normals[..., 2] < -0.3
    dark = torch.where(points[0, :, :1] > 0, 0.5, 1.0) * torch.ones(1, 3, dtype=D)
    column = (torch.arange(64) + 0.5) / 64 * 2 - 1
    picture = _lit_picture() * torch.where(column > 0, 0.5, 1.0)
    inner = seen & (points[..., 0].abs() > 0.05)  # pixels on the border are a mean of both
    known = float(photometric_loss(picture, points, normals, inner, dark.to(D)))
    unknown = float(photometric_loss(picture, points, normals, inner, torch.ones_like(dark, dtype=D)))
    assert known < 0.012 < 0.05 < unknown


ONES = torch.ones(1, 3, dtype=D)
PAIRS = torch.tensor([[0, 1], [1, 2]])
MASK = torch.ones(1, 3, dtype=torch.bool)


@pytest.mark.parametrize(
    "loss",
    [
        lambda p: landmark_loss(p, TARGET + 0.1, ONES),
        lambda p: pairs_loss(p, TARGET + torch.tensor([[[0.1], [0.7], [-0.3]]], dtype=D), ONES, PAIRS),
        lambda p: silhouette_loss(p, MASK, TARGET + 0.1, MASK),
        lambda p: truth_loss(p, TARGET + 0.1, ONES),
    ],
    ids=["landmarks", "pairs", "silhouette", "truth"],
)
def test_slopes_are_those_of_finite_differences(loss: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, (POINTS.clone().requires_grad_(),), eps=1e-6, atol=1e-6)


def test_slopes_through_the_light_are_those_of_finite_differences() -> None:
    """The light answers to every normal and place: the least squares are part of the slope."""
    points, normals = _ball(24)
    seen = normals[..., 2] < -0.3
    albedo = torch.full((24, 3), 0.7, dtype=D)
    torch.manual_seed(1)
    picture = _lit_picture(8) + 0.1 * torch.rand(1, 3, 8, 8, dtype=D)

    def loss(p: Tensor, n: Tensor) -> Tensor:
        return photometric_loss(picture, p, n, seen, albedo)

    assert torch.autograd.gradcheck(loss, (points.requires_grad_(), normals.requires_grad_()), eps=1e-7, atol=1e-4)
