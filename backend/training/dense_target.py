"""The true UV-image flow (F' of seeds/001 eq. 6) as far as a sample's points tell it: inside the atlas's triangles."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.head_model.model import HeadModel


class DenseTarget(nn.Module):
    """For each of U×U cells, which three vertices of the open head surround its centre in the atlas, and how near."""

    def __init__(self, open_head: HeadModel, uv_size: int) -> None:
        super().__init__()
        cells, corners, shares = cells_in_triangles(open_head, uv_size)
        self.uv_size = uv_size
        self.cells: Tensor
        self.corners: Tensor
        self.shares: Tensor
        self.register_buffer("cells", torch.from_numpy(cells), persistent=False)
        self.register_buffer("corners", torch.from_numpy(corners), persistent=False)
        self.register_buffer("shares", torch.from_numpy(shares), persistent=False)

    def forward(self, mu: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Positions (B,2,U,U) of the cells' centres and their weights λ_p (B,U,U) from those of the points.

        ``mu (B,P,2)``, ``weight (B,P)``. A cell weighs what its least known corner does, and 0 outside all triangles.
        """
        count, side = len(mu), self.uv_size
        inside = (mu[:, self.corners] * self.shares[..., None]).sum(dim=2)
        positions = mu.new_zeros(count, side * side, 2)
        positions[:, self.cells] = inside
        weights = weight.new_zeros(count, side * side)
        weights[:, self.cells] = weight[:, self.corners].amin(dim=2)
        return positions.mT.reshape(count, 2, side, side), weights.reshape(count, side, side)


def cells_in_triangles(
    open_head: HeadModel, uv_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The cells (C,), row-major, whose centres lie in a triangle of the atlas.

    With its vertices (C,3) and the centres' barycentric weights (C,3). Rows count downwards from the atlas's top.
    """
    uv = open_head.uv_vertices.astype(np.float64)
    # in cells, so that cell (row, column) has its centre at whole numbers
    places = np.column_stack([uv[:, 0], 1 - uv[:, 1]]) * uv_size - 0.5
    triangles = places[open_head.uv_triangles]
    low = np.maximum(np.ceil(triangles.min(axis=1) - 1e-9), 0).astype(int)
    high = np.minimum(np.floor(triangles.max(axis=1) + 1e-9), uv_size - 1).astype(int)
    found: dict[int, tuple[NDArray[np.int32], NDArray[np.float64]]] = {}
    for t in np.flatnonzero((low <= high).all(axis=1)):
        x, y = np.meshgrid(np.arange(low[t, 0], high[t, 0] + 1), np.arange(low[t, 1], high[t, 1] + 1))
        centres = np.column_stack([x.ravel(), y.ravel()])
        a, b, c = triangles[t]
        edges = np.column_stack([b - a, c - a])
        if abs(np.linalg.det(edges)) < 1e-12:
            continue
        v, w = np.linalg.solve(edges, (centres - a).T)
        shares = np.column_stack([1 - v - w, v, w])
        for centre, share in zip(centres, shares, strict=True):
            if share.min() >= -1e-9:
                found[int(centre[1] * uv_size + centre[0])] = (open_head.triangles[t], share)
    cells = np.array(sorted(found), np.int64)
    corners = np.array([found[cell][0] for cell in cells], np.int64)
    return cells, corners, np.array([found[cell][1] for cell in cells], np.float32)
