"""Deformation transfer: the way a source mesh's triangles turn and stretch, on another mesh's.

Sumner and Popović 2004, "Deformation transfer for triangle meshes", in the form of Botsch, Sumner, Pauly and Gross
2006, "Deformation transfer for detail-preserving surface editing", §3: their least-squares problem is the Poisson
equation of the target, whose matrix is the same for every deformation. The unknowns are offsets d of its V vertices,

    min Σ_t A_t ‖∇d|_t − (S_t − I)‖² + Σ_i m_i λ_i ‖d_i − c_i‖²,

S_t the source's deformation gradient at triangle t and A_t its area, m_i a vertex's share of the area. The second sum
holds the solution in place: c is where the registration carries a vertex to. Over distances short against λ^-½ the
gradients rule, over long ones the places, so that errors of the first do not add up across the face.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from backend.transfer.types import F64, Triangles

REACH = 0.010
"""λ^-½, metres: about the height of a lid or a lip. Of ICT-FaceKit at 5,000 vertices, whose own actions are known, 8 mm
and 15 mm leave 14 % and 15 % of an action's motion wrong in the median, 30 mm 17 %."""
_LEAST_AREA = 1e-6  # of the mean triangle's: smaller ones have no direction


def deformation_gradients(vertices: F64, triangles: Triangles, offsets: F64) -> F64:
    """S_t − I (F,3,3) of each triangle of ``vertices (V,3)`` that moves by ``offsets (V,3)``.

    The fourth point of a triangle is along its normal, as far as the root of twice its area (Sumner and Popović,
    eq. 1). Zero where a triangle has no area.
    """
    rest, moved = vertices[triangles], (vertices + offsets)[triangles]
    before, after = _frames(rest), _frames(moved)
    sizes = np.abs(np.linalg.det(before))
    flat = sizes < _LEAST_AREA * sizes.mean()
    before[flat] = np.eye(3)
    gradients = after @ np.linalg.inv(before) - np.eye(3)
    gradients[flat] = 0
    return np.asarray(gradients)


def _frames(corners: F64) -> F64:
    """Columns (F,3,3): two sides and the normal of each triangle (F,3,3)."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(one, other)
    length = np.sqrt(np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30))
    return np.stack([one, other, normal / length], axis=2)


class DeformationSystem:
    """The normal equations of one target mesh, factorised once for all deformations.

    ``vertices (V,3)`` metres, ``triangles (F,3)``, ``holds (V,)`` λ^-½ in metres, how firmly each vertex is held in
    place; inf for not at all, which some vertex of each connected piece must not be.
    """

    def __init__(self, vertices: F64, triangles: Triangles, holds: F64) -> None:
        count, faces = len(vertices), len(triangles)
        corners = vertices[triangles]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        double = np.linalg.norm(normal, axis=1)
        least = _LEAST_AREA * double.mean()
        used = np.where(double > least, double / 2, 0.0)
        unit = normal / np.maximum(double, least)[:, None]
        # the gradient of the hat function of corner k is normal × opposite side / double area
        hats = (
            np.stack([np.cross(unit, corners[:, (k + 2) % 3] - corners[:, (k + 1) % 3]) for k in range(3)], axis=1)
            / np.maximum(double, least)[:, None, None]
        )
        row = (3 * np.arange(faces)[:, None, None] + np.arange(3)).repeat(3, axis=1)
        column = triangles[:, :, None].repeat(3, axis=2)
        gradient = sparse.csr_matrix((hats.ravel(), (row.ravel(), column.ravel())), (3 * faces, count))
        self._divergence = (gradient.T @ sparse.diags(used.repeat(3))).tocsr()
        mass = np.zeros(count)
        np.add.at(mass, triangles.ravel(), (used / 3).repeat(3))
        mass = np.maximum(mass, 1e-3 * mass[mass > 0].mean())
        self._held = mass / holds**2
        loose = np.bincount(triangles.ravel(), minlength=count) == 0
        matrix = self._divergence @ gradient + sparse.diags(self._held + loose + 1e-9 * mass / REACH**2)
        self._factor = splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )

    def offsets(self, gradients: F64, places: F64) -> F64:
        """Offsets (V,3) whose gradients are nearest to ``gradients (F,3,3)`` and they to ``places (V,3)``."""
        wanted = gradients.transpose(0, 2, 1).reshape(-1, 3)
        return self._solve(self._divergence @ wanted + self._held[:, None] * places)

    def corrected(self, offsets: F64, rows: sparse.csr_matrix, wanted: F64, softness: float = 0.05) -> F64:
        """Offsets (V,3) changed as little as may be in the energy so that ``rows (n,V)`` of them are ``wanted (n,3)``.

        ``softness`` is the share of its own compliance that a row may give way by, where rows contradict each other.
        """
        if not rows.shape[0]:
            return offsets
        response = self._solve(rows.T.toarray())  # (V,n)
        compliance = rows @ response
        ridge = softness * np.diag(np.maximum(np.diag(compliance), 1e-12))
        return np.asarray(offsets + response @ np.linalg.solve(compliance + ridge, wanted - rows @ offsets))

    def _solve(self, right: NDArray[np.float64]) -> F64:
        return np.asarray(self._factor.solve(np.ascontiguousarray(right)))
