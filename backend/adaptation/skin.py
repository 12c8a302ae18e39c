"""The skin whose look is compared between frames: texels of the canonical atlas, and how well each of them is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.dense_points import outside
from backend.head_model.model import HeadModel
from backend.head_model.render import vertex_normals

F64 = NDArray[np.float64]

TEXELS = 96
"""Texels along a side of the atlas; the network's positions have 48 cells there. The paper's T is 1024, of which the
face has all; this one gives some 2,500 texels of facial skin, 3 mm apart."""
_FOLDED = ("lids",)  # skin there appears and disappears in folds
CONFIDENT = 0.25
"""Threshold of W_t ⊙ W_{t−1} in eq. 6: half the cosine in both, 60°."""
HIDDEN = 0.02
"""Shares of the crop's side: σ beyond which the network itself says that it does not see a texel."""
IN_FRONT = 0.012
"""Metres by which something must lie nearer to hide a texel, cells of ``CELL`` metres across the line of sight."""
CELL = 0.006


@dataclass(frozen=True, eq=False)
class Skin:
    """n texels of facial skin: ``nu (n,2)`` in the atlas, [0,1] to the right and downwards; ``points (n,3)`` and
    ``normals (n,3)`` on the mean head, metres in head space."""

    nu: NDArray[np.float32]
    points: F64
    normals: F64

    @classmethod
    def of(cls, head: HeadModel, side: int = TEXELS) -> Skin:
        """The face's outer skin but for the lids, on ``head``'s template."""
        chosen = outside(head) & head.regions["skin"] & head.regions["face"]
        for name in _FOLDED:
            chosen &= ~head.regions[name]
        texels = AtlasTexels.of(head, side, np.asarray(chosen[head.triangles].all(axis=1)))
        template = head.template.astype(np.float64)
        normals = texels.on_surface(head, vertex_normals(template, head.triangles))
        nu = (np.column_stack([texels.columns, texels.rows]) + 0.5) / side
        return cls(nu.astype(np.float32), texels.on_surface(head, template), normals)

    def confidence(self, mu: F64, sigma: F64) -> NDArray[np.float32]:
        """W of eq. 6 for T frames, (T,n), from μ (T,n,2) and σ (T,n) in shares of the crop's side.

        The cosine between a texel's normal and the line of sight; 0 where it is hidden or σ is above ``HIDDEN``. The
        paper has it from its mesh in 3D. The network knows no third dimension: the line of sight is that of the affine
        camera that lays the mean head's skin over μ best.
        """
        homogeneous = np.column_stack([self.points, np.ones(len(self.points))])
        solve = np.linalg.pinv(homogeneous)
        normals = self.normals / np.linalg.norm(self.normals, axis=1, keepdims=True)
        rows = []
        for positions, spread in zip(mu, sigma, strict=True):
            camera = (solve @ positions)[:3]
            sight = np.cross(camera[:, 0], camera[:, 1])
            sight /= max(float(np.linalg.norm(sight)), 1e-12)
            cosine = np.clip(-normals @ sight, 0, 1)
            rows.append(cosine * (spread < HIDDEN) * _in_front(self.points, sight))
        return np.stack(rows).astype(np.float32)


def _in_front(points: F64, sight: F64) -> NDArray[np.bool_]:
    """(n,) whether no other of ``points (n,3)`` hides one, seen along ``sight (3,)``."""
    across = np.linalg.svd(sight[None])[2][1:]
    cell = np.floor(points @ across.T / CELL).astype(np.int64)
    cell -= cell.min(axis=0)
    _, index = np.unique(cell[:, 1] * (cell[:, 0].max() + 1) + cell[:, 0], return_inverse=True)
    depth = points @ sight
    nearest = np.full(index.max() + 1, np.inf)
    np.minimum.at(nearest, index, depth)
    return np.asarray(depth < nearest[index] + IN_FRONT)


def observed_texture(pictures: Tensor, positions: Tensor) -> Tensor:
    """T̃ (B,n,3) of eq. 7: the colours of ``pictures`` (B,3,R,R) at ``positions`` (B,n,2), shares of their side.

    Bilinear, so that the gradient reaches the positions; beyond the picture its border goes on.
    """
    sampled = functional.grid_sample(
        pictures, (2 * positions - 1)[:, None], mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[:, :, 0].mT


def as_pictures(pictures: NDArray[np.uint8], resolution: int) -> Tensor:
    """Pictures (B,S,S,3) as (B,3,R,R) in 0…1, averaged where R is less than S."""
    tensor = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    side = tensor.shape[-1]
    if resolution == side:
        return tensor
    return functional.interpolate(
        tensor, size=(resolution, resolution), mode="area" if resolution < side else "bilinear"
    )
