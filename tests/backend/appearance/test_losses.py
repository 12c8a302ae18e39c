"""The paper's losses on numbers worked out by hand, and that textures' gradients reach what finds them."""

from __future__ import annotations

import numpy as np
import torch

from backend.adaptation.losses import consecutive_loss
from backend.adaptation.skin import as_pictures, observed_texture
from backend.appearance.tune import code_loss, landmark_loss, view_loss


def test_codes_and_landmarks_by_hand() -> None:
    assert float(code_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]]))) == 2.5
    told, wanted = torch.tensor([[[3.0, 4.0], [0.0, 0.0]]]), torch.zeros(1, 2, 2)
    assert float(landmark_loss(told, wanted)) == 12.5  # (25 + 0) / 2


def test_two_views_pull_each_others_codes_together() -> None:
    one, other = torch.tensor([[1.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 0.0]], requires_grad=True)
    loss = view_loss(one, other)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == 0.5
    assert one.grad is not None and other.grad is not None
    assert one.grad.tolist() == [[1.0, 0.0]]
    assert other.grad.tolist() == [[-1.0, 0.0]]


def _picture() -> torch.Tensor:
    y, x = np.mgrid[:64, :64] / 64
    smooth = np.stack([np.sin(9 * x + 2 * y), np.cos(7 * y), np.sin(5 * x - 6 * y)], axis=-1)
    return as_pictures((127 + 100 * smooth).astype(np.uint8)[None], 64)


def test_consecutive_textures_cost_nothing_where_they_are_the_same_and_something_where_they_slide() -> None:
    places = torch.rand(1, 30, 2, generator=torch.Generator().manual_seed(3)) * 0.6 + 0.2
    texture = observed_texture(_picture(), places)
    sight = torch.ones(1, 30)
    assert float(consecutive_loss(texture, texture, sight)) == 0
    slid = observed_texture(_picture(), places + torch.tensor([2 / 64, 0.0]))
    further = observed_texture(_picture(), places + torch.tensor([4 / 64, 0.0]))
    assert 0 < float(consecutive_loss(texture, slid, sight)) < float(consecutive_loss(texture, further, sight))


def test_the_gradient_of_an_unwrapped_texture_is_that_of_unwrapping_again() -> None:
    places = torch.rand(1, 12, 2, generator=torch.Generator().manual_seed(5)) * 0.6 + 0.2
    places = (torch.floor(places * 64) + 0.25) / 64  # away from where two pixels meet, at which there is no gradient
    places.requires_grad_()
    wanted = torch.full((1, 12, 3), 0.5)
    picture = _picture()
    loss = consecutive_loss(observed_texture(picture, places), wanted, torch.ones(1, 12))
    (gradient,) = torch.autograd.grad(loss, places)
    for number, axis in ((0, 0), (5, 1), (11, 0)):
        step = torch.zeros_like(places)
        step[0, number, axis] = 1e-3
        ends = [
            float(consecutive_loss(observed_texture(picture, places.detach() + sign * step), wanted, torch.ones(1, 12)))
            for sign in (1, -1)
        ]
        assert np.isclose(float(gradient[0, number, axis]), (ends[0] - ends[1]) / 2e-3, rtol=0.05, atol=1e-3)
