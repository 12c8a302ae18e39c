"""RAFT's correlation block between the atlas and the image (C of seeds/001 eq. 4), in plain torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class CorrelationPyramid:
    """Correlations of each cell of the atlas with each cell of the image, (B,U·U,s,s), s ≥ h + 2, h = U, U/2, U/4, …

    The rim of each level is 0: what lies beyond the image. It is one cell wide at the left and above, and as many at
    the other sides as make s a multiple of 4: rows of whole cache lines are written in two thirds of the time.
    """

    levels: tuple[Tensor, ...]
    radius: int

    @classmethod
    def of(cls, atlas: Tensor, image: Tensor, levels: int, radius: int) -> CorrelationPyramid:
        """From Z_uv (1,C,U,U) and Z_img (B,C,U,U), divided by √C.

        Averaging the volume over the image's cells is averaging Z_img: the coarser levels come from a shrunken Z_img.
        """
        batch, channels = image.shape[:2]
        cells = (atlas.flatten(2).transpose(-1, -2) * channels**-0.5).expand(batch, -1, -1)
        volumes = []
        for level in range(levels):
            if level:
                image = functional.avg_pool2d(image, 2)
            far = 1 - (image.shape[-1] + 2) % -4
            rimmed = functional.pad(image, (1, far, 1, far))
            volumes.append(torch.bmm(cells, rimmed.flatten(2)).view(batch, -1, *rimmed.shape[-2:]))
        return cls(tuple(volumes), radius)

    def look_up(self, positions: Tensor) -> tuple[Tensor, CorrelationPyramid]:
        """Correlations (B,levels·(2r+1)²,U,U) around ``positions`` (B,2,U,U), x and y in cells of Z_img.

        A cell's index is its centre (RAFT's coordinates): position 0 is the first cell's centre. Beyond the image the
        correlation is 0. The gradient flows to the features, not to the positions. The pyramid that comes back is the
        one to look up in next: it holds the same numbers, and hands its gradient on to this one.
        """
        batch, _, height, width = positions.shape
        centres = positions.detach().float().flatten(2)
        found, volumes = [], []
        for level, volume in enumerate(self.levels):
            # Averaging pairs of cells halves their distances from the image's corner, not from the first centre.
            windows, passed = _windows(volume, (centres + 0.5) * 0.5**level - 0.5, self.radius)
            found.append(windows)
            volumes.append(passed)
        looked_up = torch.cat(found, dim=1).view(batch, -1, height, width)
        return looked_up, CorrelationPyramid(tuple(volumes), self.radius)


def _windows(volume: Tensor, centres: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """Bilinear samples (B,(2r+1)²,N), row by row, of ``volume`` (B,N,h+2,w+2) around ``centres`` (B,2,N); and it again.

    All samples of a window share their fractions of a cell: one patch of (2r+2)² cells is read and blended twice, where
    grid_sample would read 4·(2r+1)².
    """
    batch, cells, height, width = volume.shape
    low = centres.floor()
    fraction = (centres - low).to(volume.dtype)
    # Far outside is as empty as the rim, and stays within the integers.
    reach = float(radius + 1)
    offsets = torch.arange(1 - radius, radius + 3, device=volume.device, dtype=torch.int32)
    x, y = low.clamp(min=-1 - reach).unbind(1)
    x = (x.clamp(max=width + reach).int()[..., None] + offsets).clamp(0, width - 1)
    y = (y.clamp(max=height + reach).int()[..., None] + offsets).clamp(0, height - 1)
    row = torch.arange(batch * cells, device=volume.device, dtype=torch.int32).view(batch, cells, 1)
    index = ((row * height + y) * width)[..., :, None] + x[..., None, :]
    read, passed = _read(volume, index.flatten())
    side = 2 * radius + 2
    patch = read.view(batch, cells, -1).transpose(-1, -2).reshape(batch, side, side, cells)
    fx, fy = fraction[:, 0, None, None], fraction[:, 1, None, None]
    patch = _blend(patch[:, :, :-1], patch[:, :, 1:], fx)
    patch = _blend(patch[:, :-1], patch[:, 1:], fy)
    return patch.flatten(1, 2), passed


def _blend(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """torch.lerp, which takes four times as long where the share is broadcast."""
    return torch.addcmul(first, second - first, share)


def _read(volume: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    if torch.is_grad_enabled():
        read, passed = _Read.apply(volume, index)
        return read, passed
    return volume.flatten().index_select(0, index), volume  # what other runtimes can take over


class _Read(torch.autograd.Function):
    """Entries of a volume by flat index, and the volume itself for whoever reads next.

    Several reads of one volume would each make a gradient of the volume's size, nearly all zeros, to be added up.
    Passed along, there is one, into which every read writes its own entries.
    """

    @staticmethod
    def forward(ctx: Any, volume: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(index)
        ctx.shape = volume.shape
        return volume.flatten().index_select(0, index), volume.view_as(volume)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None]:
        of_read, of_volume = gradients
        if of_read is None:
            return of_volume, None
        (index,) = ctx.saved_tensors
        if of_volume is None:
            of_volume = of_read.new_zeros(ctx.shape)
        of_volume.view(-1).index_add_(0, index, of_read)
        return of_volume, None
