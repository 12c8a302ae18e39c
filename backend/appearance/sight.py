"""The driver in torch, so that losses on textures and landmarks reach what it has learnt (seeds/003 eqs. 1–9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.alignment.crop import CROP, Crop
from backend.appearance.driver import DriverModel
from backend.appearance.pose import solve_pose
from backend.appearance.regressor import Regressor
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.render import vertex_normals

F64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cameras:
    """B crops of pictures of ideal pinholes: ``focal (B,)``, ``centre (B,2)``, and affine maps ``turn (B,2,2)``,
    ``shift (B,2)`` from crop pixels to picture pixels."""

    focal: Tensor
    centre: Tensor
    turn: Tensor
    shift: Tensor

    @classmethod
    def of(cls, crops: F64, focal: F64, centre: F64) -> Cameras:
        """From crops (B,4) of x, y, side, roll, with ``focal (B,)`` and ``centre (B,2)`` in pixels of the picture."""
        maps = np.stack([Crop(float(x), float(y), float(side), float(roll)).to_image for x, y, side, roll in crops])
        arrays = (focal, centre, maps[:, :, :2], maps[:, :, 2])
        return cls(*(torch.tensor(array, dtype=torch.float32) for array in arrays))

    def at(self, index: Tensor) -> Cameras:
        return Cameras(self.focal[index], self.centre[index], self.turn[index], self.shift[index])

    def to_picture(self, points: Tensor) -> Tensor:
        """Crop pixels (B,n,2) as pixels of the pictures."""
        return points @ self.turn.mT + self.shift[:, None]

    def to_crop(self, pixels: Tensor) -> Tensor:
        return (pixels - self.shift[:, None]) @ torch.linalg.inv(self.turn).mT

    def project(self, placed: Tensor) -> Tensor:
        """Pixels (B,n,2) of points (B,n,3) in camera space."""
        return placed[..., :2] / placed[..., 2:] * self.focal[:, None, None] + self.centre[:, None]


@dataclass(frozen=True, eq=False)
class Told:
    """Of B looks: ``codes (B,Z)``, ``expression (B,K_ex)``, and the pose: ``rotation (B,3,3)``, ``translation
    (B,3)``, head to camera."""

    codes: Tensor
    expression: Tensor
    rotation: Tensor
    translation: Tensor


class Sight(nn.Module):
    """The regressor's linear maps as parameters; all else of the driver stands still."""

    codes: nn.Parameter
    codes_at: nn.Parameter
    points: nn.Parameter
    points_at: nn.Parameter

    def __init__(self, model: DriverModel, texels: NDArray[np.intp]) -> None:
        """``texels`` are those of the appearance model, by their numbers, whose colours are looked at."""
        super().__init__()
        regressor, points = model.regressor, model.person.points
        self._middle, self._scale = torch.tensor(regressor.middle), torch.tensor(regressor.scale)
        for name in ("codes", "codes_at", "points", "points_at"):
            setattr(self, name, nn.Parameter(torch.tensor(getattr(regressor, name))))
        matrix, offset = model.appearance.geometry_map
        self._decode, self._decode_at = _floats(matrix[:, :-4]), _floats(offset[:-4])
        self._bounds = _floats(model.person.head.expression_bounds)
        self._rest, self._moves = _floats(points.rest), _floats(points.moves)
        skin = _Skin.of(model, texels)
        self.skin_rest, self.skin_moves, self.skin_normals = skin.rest, skin.moves, skin.normals
        matrix, offset = model.appearance.texture_map
        chosen = (3 * texels[:, None] + np.arange(3)).ravel()
        self._paint, self._paint_at = _floats(matrix[:, chosen]), _floats(offset[chosen])

    def regressor(self) -> Regressor:
        """What the parameters are now."""
        kept = [getattr(self, name).detach().numpy() for name in ("codes", "codes_at", "points", "points_at")]
        return Regressor(self._middle.numpy(), self._scale.numpy(), *kept)

    def forward(self, features: Tensor, own: Tensor, cameras: Cameras) -> Told:
        """What looks with features (B,F), that see the points at ``own (B,K,2)`` in their crops, tell."""
        x = (features - self._middle) * self._scale
        codes = x @ self.codes + self.codes_at
        points = own + (x @ self.points + self.points_at).view_as(own)
        raw = codes @ self._decode + self._decode_at
        # beyond the bounds a tenth of the gradient is left, so that what is stuck there can come back
        held = raw.clamp(self._bounds[:, 0], self._bounds[:, 1])
        expression = held + 0.1 * (raw - raw.detach()) * (held != raw)
        rotation, translation = posed(self.points_at_expression(expression), cameras.to_picture(points), cameras)
        return Told(codes, expression, rotation, translation)

    def points_at_expression(self, expression: Tensor) -> Tensor:
        return self._rest + torch.einsum("bk,knc->bnc", expression, self._moves)

    def landmarks(self, told: Told, cameras: Cameras) -> Tensor:
        """Where the K points of the head that was told lie in its crop (B,K,2)."""
        return cameras.to_crop(cameras.project(_placed(self.points_at_expression(told.expression), told)))

    def texels(self, told: Told, cameras: Cameras) -> tuple[Tensor, Tensor]:
        """Where the n texels lie in the crop (B,n,2) as shares of its side, and how squarely they are seen (B,n): the
        cosine between normal and line of sight, 0 from behind."""
        skin = self.skin_rest + torch.einsum("bk,knc->bnc", told.expression, self.skin_moves)
        placed = _placed(skin, told)
        with torch.no_grad():
            normals = self.skin_normals @ told.rotation.mT
            cosine = -(normals * placed).sum(dim=-1) / placed.norm(dim=-1)
        return cameras.to_crop(cameras.project(placed)) / CROP, cosine.clamp(min=0)

    def texture(self, codes: Tensor) -> Tensor:
        """T (B,n,3) of eq. 8: the colours that the appearance model gives the texels."""
        return (codes @ self._paint + self._paint_at).view(len(codes), -1, 3)


def posed(points: Tensor, pixels: Tensor, cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Rotation (B,3,3) and translation (B,3) that lay points (B,K,3) over pixels (B,K,2) best, differentiable.

    The solution is ``solve_pose``'s; one Gauss–Newton step from there has its value, and the gradient of the solution
    by points and pixels as the implicit function theorem has it, second derivatives left out as in the step itself.
    """
    with torch.no_grad():
        arrays = [t.double().numpy() for t in (points, pixels, cameras.focal, cameras.centre)]
        solved = [solve_pose(x, p, float(f), c) for x, p, f, c in zip(*arrays, strict=True)]
        rotation = _floats(np.stack([one[0] for one in solved]))
        start = _floats(np.stack([one[1] for one in solved]))
    turned = points @ rotation.mT
    placed = turned + start[:, None]
    with torch.no_grad():
        jacobian = _jacobian(turned, placed, cameras.focal)
        solver = torch.linalg.pinv(jacobian.double()).float()
    residual = (pixels - cameras.project(placed)).flatten(1)
    step = (solver @ residual[..., None])[..., 0]
    turn = torch.eye(3) + _cross(step[:, :3])
    return turn @ rotation, start + step[:, 3:]


def _jacobian(turned: Tensor, placed: Tensor, focal: Tensor) -> Tensor:
    """(B,2K,6) of pixels by a small turn from the left and a shift."""
    x, y, z = placed.unbind(-1)
    zero = torch.zeros_like(z)
    rows = [torch.stack([1 / z, zero, -x / z**2], -1), torch.stack([zero, 1 / z, -y / z**2], -1)]
    by_place = torch.stack(rows, -2) * focal[:, None, None, None]
    both = torch.cat([by_place @ -_cross(turned), by_place], dim=-1)
    return both.flatten(1, 2)


def _cross(vectors: Tensor) -> Tensor:
    """[v]× (…,3,3) of vectors (…,3)."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    rows = [torch.stack([zero, -z, y], -1), torch.stack([z, zero, -x], -1), torch.stack([-y, x, zero], -1)]
    return torch.stack(rows, -2)


def _placed(points: Tensor, told: Told) -> Tensor:
    return points @ told.rotation.mT + told.translation[:, None]


def _floats(array: NDArray[np.floating[Any]]) -> Tensor:
    return torch.tensor(np.asarray(array), dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class _Skin:
    rest: Tensor  # (n,3)
    moves: Tensor  # (K_ex,n,3)
    normals: Tensor  # (n,3), of the neutral

    @classmethod
    def of(cls, model: DriverModel, texels: NDArray[np.intp]) -> _Skin:
        appearance, head, neutral = model.appearance, model.person.head, model.person.neutral
        atlas = AtlasTexels.of(head, appearance.side)
        number = np.full((appearance.side, appearance.side), -1)
        number[atlas.rows, atlas.columns] = np.arange(len(atlas.rows))
        which = number[appearance.rows[texels], appearance.columns[texels]]
        corners, weights = head.triangles[atlas.triangle[which]], atlas.barycentric[which]
        normals = vertex_normals(neutral.astype(np.float64), head.triangles)
        at = np.einsum("nk,nkc->nc", weights, normals[corners])
        at /= np.maximum(np.linalg.norm(at, axis=1, keepdims=True), 1e-12)
        moves = np.einsum("nk,enkc->enc", weights, head.expression_basis[:, corners])
        return cls(_floats(np.einsum("nk,nkc->nc", weights, neutral[corners])), _floats(moves), _floats(at))
