"""The cameras of a take as unknowns: which of them the fit may move, and how (seeds/001 eq. 10)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.geometry import rotation_exp

FULL = 7
"""Everything a camera could change in: rotation δ (3), translation τ (3), log focal (1)."""


@dataclass(frozen=True, eq=False)
class Cameras:
    """C pinhole cameras, float64: x_camera = R x_world + t, then focal and principal point.

    ``rotation (C,3,3)``, ``translation (C,3)`` metres, ``log_focal (C,)``. The world here has its origin at the head's
    mean position, so that turning a camera does not throw the head out of its view; ``fit`` moves it back.
    """

    rotation: Tensor
    translation: Tensor
    log_focal: Tensor

    def __len__(self) -> int:
        return len(self.log_focal)


@dataclass(frozen=True, eq=False)
class CameraUnknowns:
    """The parameters of C cameras that a fit solves for; U unknowns in all, in this order.

    Camera by camera: rotation and translation (6) where ``extrinsics[j]``, then log focal where ``focal[j]``; last the
    log scale (1) of the rig where ``scaled`` names cameras whose extrinsics are known up to one common scale.
    ``origin (3,)`` is where the recentred world's origin lies in the world of those extrinsics.
    """

    extrinsics: tuple[bool, ...]
    focal: tuple[bool, ...]
    scaled: tuple[bool, ...]
    origin: Tensor

    @property
    def count(self) -> int:
        """U."""
        return 6 * sum(self.extrinsics) + sum(self.focal) + int(any(self.scaled))

    def moves(self, view: int) -> bool:
        """True where any unknown changes this camera."""
        return self.extrinsics[view] or self.focal[view] or self.scaled[view]

    def first(self, view: int) -> int:
        """The index of this camera's first own unknown."""
        return 6 * sum(self.extrinsics[:view]) + sum(self.focal[:view])

    def columns(self, view: int) -> list[int]:
        """The indices, among the U, of the unknowns that change this camera."""
        own = 6 * self.extrinsics[view] + int(self.focal[view])
        columns = list(range(self.first(view), self.first(view) + own))
        return columns + ([self.count - 1] if self.scaled[view] else [])

    def focal_index(self, view: int) -> int:
        """The index of this camera's log focal among the unknowns; only where it is solved for."""
        return self.first(view) + 6 * int(self.extrinsics[view])

    def jacobian(self, cameras: Cameras, view: int) -> Tensor:
        """(7,k): this camera's (δ, τ, log f) by the k unknowns of ``columns``."""
        like = cameras.translation
        full = torch.eye(FULL, dtype=like.dtype, device=like.device)
        own = [full[:, :6]] if self.extrinsics[view] else []
        if self.focal[view]:
            own.append(full[:, 6:])
        if self.scaled[view]:
            rig = torch.zeros_like(full[:, :1])
            rig[3:6, 0] = cameras.rotation[view].T @ cameras.translation[view] - self.origin
            own.append(rig)
        return torch.cat(own, dim=1)

    def moved(self, cameras: Cameras, step: Tensor) -> Cameras:
        """The cameras after a step (U,): rotations R ← R exp(δ), positions along their rays, focals by logarithm."""
        rotation, translation, log_focal = [], [], []
        for view in range(len(cameras)):
            first = self.first(view)
            turn, shift = cameras.rotation[view], cameras.translation[view]
            if self.scaled[view]:
                anchor = turn @ self.origin
                shift = anchor + step[-1].exp() * (shift - anchor)
            if self.extrinsics[view]:
                # Positions move along the ray to the head, as head poses do (see ``moved_along_ray``).
                shift = moved_along_ray(shift, turn @ step[first + 3 : first + 6])
                turn = turn @ rotation_exp(step[None, first : first + 3])[0]
            focal = cameras.log_focal[view]
            if self.focal[view]:
                focal = focal + step[self.focal_index(view)]
            rotation.append(turn)
            translation.append(shift)
            log_focal.append(focal)
        return Cameras(torch.stack(rotation), torch.stack(translation), torch.stack(log_focal))


def moved_along_ray(position: Tensor, step: Tensor) -> Tensor:
    """Camera-space positions (…,3) moved by ``step``: depth by its logarithm, the rest as a direction of view.

    To first order this is position + step. Focal length moves by its logarithm too, so a long step along the valley
    where depth makes up for focal length keeps the head's size in the image; added linearly, it would not, and the
    solver would crawl.
    """
    depth = position[..., 2:]
    ray = position / depth
    turned = ray + (step - ray * step[..., 2:]) / depth
    return turned * depth * (step[..., 2:] / depth).exp()
