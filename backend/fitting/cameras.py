"""The cameras of a take as unknowns: which of them the fit may move, and how (seeds/001 eq. 10)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.fitting.geometry import rotation_exp

FULL = 9
"""Everything a camera could change in: rotation δ (3), translation τ (3), log focal (1), principal point (2)."""


@dataclass(frozen=True, eq=False)
class Cameras:
    """C pinhole cameras, float64: x_camera = R x_world + t, then focal and principal point.

    ``rotation (C,3,3)``, ``translation (C,3)`` metres, ``log_focal (C,)``, ``principal_point (C,2)`` pixels.

    The world here has its origin at the head's
    mean position, so that turning a camera does not throw the head out of its view; ``fit`` moves it back.
    """

    rotation: Tensor
    translation: Tensor
    log_focal: Tensor
    principal_point: Tensor

    def __len__(self) -> int:
        return len(self.log_focal)


@dataclass(frozen=True, eq=False)
class CameraUnknowns:
    """The parameters of C cameras that a fit solves for; U unknowns in all, in this order.

    Camera by camera: rotation and translation (6) where ``extrinsics[j]``, then log focal where ``focal[j]``, then the
    principal point (2) where ``principal[j]``, in units of the longer side ``side[j]`` of its picture (pixels); last
    the log scale (1) of the rig where ``scaled`` names cameras whose extrinsics are known up to one common scale.
    ``origin (3,)`` is where the recentred world's origin lies in the world of those extrinsics.
    """

    extrinsics: tuple[bool, ...]
    focal: tuple[bool, ...]
    scaled: tuple[bool, ...]
    origin: Tensor
    principal: tuple[bool, ...]
    side: tuple[float, ...]

    @classmethod
    def none(cls, count: int, origin: Tensor) -> CameraUnknowns:
        """Of ``count`` cameras that are all left as they are."""
        still = (False,) * count
        return cls(still, still, still, origin, still, (1.0,) * count)

    @property
    def count(self) -> int:
        """U."""
        return self.first(len(self.focal)) + int(any(self.scaled))

    def moves(self, view: int) -> bool:
        """True where any unknown changes this camera."""
        return self.extrinsics[view] or self.focal[view] or self.scaled[view] or self.principal[view]

    def first(self, view: int) -> int:
        """The index of this camera's first own unknown."""
        return 6 * sum(self.extrinsics[:view]) + sum(self.focal[:view]) + 2 * sum(self.principal[:view])

    def columns(self, view: int) -> list[int]:
        """The indices, among the U, of the unknowns that change this camera."""
        own = 6 * self.extrinsics[view] + int(self.focal[view]) + 2 * self.principal[view]
        columns = list(range(self.first(view), self.first(view) + own))
        return columns + ([self.count - 1] if self.scaled[view] else [])

    def focal_index(self, view: int) -> int:
        """The index of this camera's log focal among the unknowns; only where it is solved for."""
        return self.first(view) + 6 * int(self.extrinsics[view])

    def principal_index(self, view: int) -> int:
        """The index of this camera's principal point's x; only where it is solved for."""
        return self.focal_index(view) + int(self.focal[view])

    def jacobian(self, cameras: Cameras, view: int) -> Tensor:
        """(9,k): this camera's (δ, τ, log f, principal point) by the k unknowns of ``columns``."""
        like = cameras.translation
        full = torch.eye(FULL, dtype=like.dtype, device=like.device)
        own = [full[:, :6]] if self.extrinsics[view] else []
        if self.focal[view]:
            own.append(full[:, 6:7])
        if self.principal[view]:
            own.append(self.side[view] * full[:, 7:])
        if self.scaled[view]:
            rig = torch.zeros_like(full[:, :1])
            rig[3:6, 0] = cameras.rotation[view].T @ cameras.translation[view] - self.origin
            own.append(rig)
        return torch.cat(own, dim=1)

    def moved(self, cameras: Cameras, step: Tensor) -> Cameras:
        """The cameras after a step (U,): rotations R ← R exp(δ), positions along their rays, focals by logarithm."""
        rotation, translation, log_focal, principal_point = [], [], [], []
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
            centre = cameras.principal_point[view]
            if self.principal[view]:
                index = self.principal_index(view)
                centre = centre + self.side[view] * step[index : index + 2]
            rotation.append(turn)
            translation.append(shift)
            log_focal.append(focal)
            principal_point.append(centre)
        return Cameras(*(torch.stack(part) for part in (rotation, translation, log_focal, principal_point)))


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
