"""The losses of the coarse regressor that have a place without its data sets (seeds/004, supplement §6.1).

Positions are in half sides of the crop from its middle. Each is the mean over a batch's pictures, so that its size says
the same whatever the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

FAR = 4.0
"""Half sides; farther than any two points of a picture lie apart."""
_SH = (0.282095, 0.488603, 1.092548, 0.315392, 0.546274)
"""Constants of the real spherical harmonics of bands 0 to 2 (Ramamoorthi and Hanrahan 2001, eq. 3)."""
_RIDGE = 1e-3


def landmark_loss(points: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Eq. 1: L1 distance of projected ``points (B,N,2)`` and ``target``, weighted by ``weight (B,N)``."""
    apart = (points - target).abs().sum(-1)
    return _mean(apart, weight)


def pairs_loss(points: Tensor, target: Tensor, weight: Tensor, pairs: Tensor) -> Tensor:
    """Eq. 2: L1 distance of the differences between the points of ``pairs (Q,2)``, both of which must be known."""
    one, other = pairs.unbind(1)
    apart = ((points[:, one] - points[:, other]) - (target[:, one] - target[:, other])).abs().sum(-1)
    return _mean(apart, torch.minimum(weight[:, one], weight[:, other]))


def silhouette_loss(points: Tensor, edge: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """How far each point of the true outline is from the nearest silhouette vertex (supplement §2 and §4).

    ``points (B,W,2)`` are all projected vertices, ``edge (B,W)`` those on the silhouette; ``target (B,M,2)`` where
    ``known (B,M)``. Which vertex is nearest is no part of the gradient. A picture without either counts as 0.
    """
    with torch.no_grad():
        known = known & edge.any(-1, keepdim=True)
        count = int(edge.sum(-1).max().clamp_min(1))
        first = edge.float().argsort(dim=-1, descending=True, stable=True)[
            :, :count
        ]  # those on the silhouette, then others
        there = torch.gather(edge, 1, first)
        apart = torch.cdist(target, _taken(points, first)).masked_fill(~there[:, None], FAR)
        nearest = torch.gather(first, 1, apart.argmin(-1))
    return _mean(_length(_taken(points, nearest) - target), known.to(points.dtype))


def photometric_loss(image: Tensor, points: Tensor, normals: Tensor, seen: Tensor, albedo: Tensor) -> Tensor:
    """Eq. 3 at vertices: the L1 difference between the picture and the head under the light that explains it best.

    ``image (B,3,h,w)`` in 0…1 is looked at where ``points (B,W,2)`` lie; ``normals (B,W,3)`` in the camera's axes;
    ``seen (B,W)`` the mask R_I: vertices of the skin that the picture shows; ``albedo (W,3)`` the mean one. The light,
    nine spherical harmonics a channel, is solved for by least squares, so that no network has to tell it.
    """
    shown = functional.grid_sample(image, points[:, None], align_corners=False)[:, :, 0].mT
    harmonics = spherical_harmonics(normals)
    weight = seen.to(image.dtype)[..., None]
    parts = []
    for channel in range(3):
        basis = harmonics * albedo[:, channel, None] * weight
        wanted = shown[..., channel, None] * weight
        gram = basis.mT @ basis + _RIDGE * torch.eye(9, dtype=image.dtype, device=image.device)
        light = torch.linalg.solve(gram, basis.mT @ wanted)
        parts.append((basis @ light - wanted).abs()[..., 0])
    return _mean(torch.stack(parts).sum(0), weight[..., 0])


def spherical_harmonics(normals: Tensor) -> Tensor:
    """The nine of bands 0 to 2 (…,9) at unit normals (…,3)."""
    x, y, z = normals.unbind(-1)
    a, b, c, d, e = _SH
    one = torch.ones_like(x)
    rows = [a * one, b * y, b * z, b * x, c * x * y, c * y * z, d * (3 * z * z - 1), c * x * z, e * (x * x - y * y)]
    return torch.stack(rows, -1)


def regularisation_loss(identity: Tensor, expression: Tensor) -> Tensor:
    """Eq. 8 without albedo, which nothing here tells: squared lengths of (B,K_id) and (B,K_ex), mean over pictures."""
    return (identity.square().sum(-1) + expression.square().sum(-1)).mean()


def swapped(identity: Tensor) -> Tensor:
    """Eq. 9's β': each of a batch of pairs (2n,K), one person's pictures side by side, gets the other's identity."""
    return identity.view(-1, 2, identity.shape[1]).flip(1).flatten(0, 1)


def rotation_loss(rotation: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Chordal distance |R − R'|_F/√2 (radians where small) of (B,3,3), weighted by ``weight (B,)``."""
    return _mean(_length((rotation - target).flatten(1)) / 2**0.5, weight)


def truth_loss(vertices: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean distance of head-space vertices (B,W,3) and the true ones, weighted by ``weight (B,W)``."""
    return _mean(_length(vertices - target), weight)


def _taken(points: Tensor, index: Tensor) -> Tensor:
    """(B,n,2) of points (B,W,2) by index (B,n)."""
    return torch.gather(points, 1, index[..., None].expand(-1, -1, 2))


def _length(values: Tensor) -> Tensor:
    # the root's slope at 0 is infinite
    return (values.square().sum(-1) + 1e-12).sqrt()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """The weighted mean of all; 0 where nothing has a weight."""
    return (values * weight).sum() / weight.sum().clamp_min(1e-9)
