"""The look-up against a plain one."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from backend.alignment.flowface.correlation import CorrelationPyramid


def _plain(atlas: Tensor, image: Tensor, levels: int, radius: int, positions: Tensor) -> Tensor:
    """All pairs, the volume itself averaged, every neighbour sampled on its own."""
    batch, channels, height, width = image.shape
    volume = torch.einsum("cn,bcyx->bnyx", atlas[0].flatten(1), image) / channels**0.5
    centres = positions.flatten(2).mT + 0.5
    found = []
    for level in range(levels):
        if level:
            volume = functional.avg_pool2d(volume, 2)
        size = torch.tensor([volume.shape[3], volume.shape[2]])
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                grid = 2 * (centres / 2**level + torch.tensor([dx, dy])) / size - 1
                seen = functional.grid_sample(
                    volume.flatten(0, 1)[:, None], grid.reshape(-1, 1, 1, 2), align_corners=False
                )
                found.append(seen.view(batch, height, width))
    return torch.stack(found, dim=1)


@settings(max_examples=25, deadline=None)
@given(
    levels=st.integers(1, 3),
    radius=st.integers(1, 3),
    span=st.sampled_from([1.0, 14.0, 200.0]),
    seed=st.integers(0, 1000),
)
def test_look_up_is_sampling_the_pooled_volume(levels: int, radius: int, span: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    atlas = torch.randn(1, 6, 8, 8, generator=random)
    image = torch.randn(2, 6, 8, 8, generator=random)
    positions = 3.5 + span * (torch.rand(2, 2, 8, 8, generator=random) - 0.5)
    found, _ = CorrelationPyramid.of(atlas, image, levels, radius).look_up(positions)
    torch.testing.assert_close(found, _plain(atlas, image, levels, radius, positions), atol=2e-4, rtol=1e-3)


def test_gradients_of_several_look_ups_are_those_of_the_plain_one() -> None:
    torch.manual_seed(1)
    first = 9 * torch.rand(2, 2, 8, 8) - 1
    second = first + torch.randn(2, 2, 8, 8)
    seen = [torch.randn(2, 2 * 25, 8, 8) for _ in range(2)]
    gradients = []
    for plain in (False, True):
        atlas = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(5)).requires_grad_()
        image = torch.randn(2, 6, 8, 8, generator=torch.Generator().manual_seed(6)).requires_grad_()
        if plain:
            found = [_plain(atlas, image, 2, 2, positions) for positions in (first, second)]
        else:
            one, pyramid = CorrelationPyramid.of(atlas, image, 2, 2).look_up(first)
            found = [one, pyramid.look_up(second)[0]]
        loss = sum(((values * weights).sum() for values, weights in zip(found, seen, strict=True)), torch.zeros(()))
        gradients.append(torch.autograd.grad(loss, (atlas, image)))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-4, rtol=1e-4)
