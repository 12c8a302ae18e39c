"""RAFT's correlation block between the atlas and the image (C of seeds/001 eq. 4), in plain torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class CorrelationPyramid:
    """Correlations (B,U·U,h,h) of every cell of the atlas with every cell of the image, h = U, U/2, U/4, …"""

    levels: tuple[Tensor, ...]
    radius: int

    @classmethod
    def of(cls, atlas: Tensor, image: Tensor, levels: int, radius: int) -> CorrelationPyramid:
        """From Z_uv (1,C,U,U) and Z_img (B,C,U,U), divided by √C.

        Averaging the volume over the image's cells is averaging Z_img: the coarser levels come from a shrunken Z_img.
        """
        batch, channels = image.shape[:2]
        cells = (atlas.flatten(2).mT * channels**-0.5).expand(batch, -1, -1)
        volumes = []
        for level in range(levels):
            if level:
                image = functional.avg_pool2d(image, 2)
            side_y, side_x = image.shape[-2:]
            volumes.append(torch.bmm(cells, image.flatten(2)).view(batch, -1, side_y, side_x))
        return cls(tuple(volumes), radius)

    def look_up(self, positions: Tensor) -> Tensor:
        """Correlations (B,levels·(2r+1)²,U,U) around ``positions`` (B,2,U,U): x and y in cells of Z_img.

        A cell's index is its centre (RAFT's coordinates): position 0 is the first cell's centre. Beyond the image the
        correlation is 0. The gradient flows to the features, not to the positions.
        """
        batch, _, height, width = positions.shape
        centres = positions.detach().float().flatten(2).mT
        found = []
        for level, volume in enumerate(self.levels):
            # Averaging pairs of cells halves their distances from the image's corner, not from the first centre.
            found.append(_windows(volume, (centres + 0.5) * 0.5**level - 0.5, self.radius))
        looked_up = torch.cat(found, dim=-1)
        return looked_up.view(batch, height, width, -1).permute(0, 3, 1, 2)


def _windows(volume: Tensor, centres: Tensor, radius: int) -> Tensor:
    """Bilinear samples (B,N,(2r+1)²), row by row, of ``volume`` (B,N,h,w) around ``centres`` (B,N,2).

    All samples of a window share their fractions of a cell: one patch of (2r+2)² cells is gathered and blended twice,
    where grid_sample would gather 4·(2r+1)².
    """
    height, width = volume.shape[-2:]
    low = centres.floor()
    fraction = (centres - low).to(volume.dtype)
    # Far outside is as empty as just outside, and stays within the integers.
    reach = 2.0 * radius + 2
    low = torch.minimum(low.clamp(min=-reach), low.new_tensor([width, height]) + reach).long()
    offsets = torch.arange(-radius, radius + 2, device=volume.device)
    x = low[..., 0, None] + offsets
    y = low[..., 1, None] + offsets
    inside_x = ((x >= 0) & (x < width)).to(volume.dtype)
    inside_y = ((y >= 0) & (y < height)).to(volume.dtype)
    index = y.clamp(0, height - 1)[..., :, None] * width + x.clamp(0, width - 1)[..., None, :]
    patch = volume.flatten(2).gather(2, index.flatten(2)).view(*index.shape)
    patch = patch * inside_y[..., :, None] * inside_x[..., None, :]
    fx, fy = fraction[..., 0, None, None], fraction[..., 1, None, None]
    patch = torch.lerp(patch[..., :-1], patch[..., 1:], fx)
    patch = torch.lerp(patch[..., :-1, :], patch[..., 1:, :], fy)
    return patch.flatten(2)
