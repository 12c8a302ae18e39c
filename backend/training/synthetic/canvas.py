"""The canonical atlas as something to paint on: what each texel of it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from backend.head_model.appearance import face_coordinates
from backend.head_model.model import JOINT_NAMES, HeadModel
from backend.head_model.render import HeadRenderer

F32 = NDArray[np.float32]

CANVAS = 512
"""Texels along a side."""


@dataclass(frozen=True, eq=False)
class Canvas:
    """The n covered texels of an atlas picture (CANVAS,CANVAS), row 0 the atlas's top.

    ``flat (n,)`` index of each in the raveled picture; ``face (n,3)`` where it lies on the template, in
    ``face_coordinates`` (mm from the eyes' midpoint); ``parts`` name -> (n,) bool; ``from_eye (n,3)`` offset from the
    centre of the eyeball on its side, metres; ``nearest (CANVAS²,)`` the covered texel nearest to each of all, as an
    index into the n.
    """

    flat: NDArray[np.intp]
    face: F32
    parts: dict[str, NDArray[np.bool_]]
    from_eye: F32
    nearest: NDArray[np.int32]

    def picture(self, colors: F32) -> F32:
        """Values (n,c) as a picture (CANVAS,CANVAS,c), the nearest ones spread where the atlas is empty."""
        return np.asarray(colors[self.nearest].reshape(CANVAS, CANVAS, -1))


def make_canvas(head: HeadModel) -> Canvas:
    """Look up every texel of the open head's atlas. Raises UserError ``no_opengl``."""
    plane = head.uv_vertices.astype(np.float64) * [1, -1] + [0, 1]
    flat = np.pad(plane, ((0, 0), (0, 1)), constant_values=1.0)
    with HeadRenderer((CANVAS, CANVAS)) as renderer:
        seen = renderer.surface(
            flat, head.uv_triangles, focal_px=CANVAS, principal_point=(0.0, 0.0), world_to_camera=np.eye(3, 4)
        ).triangle
    rows, columns = np.nonzero(seen >= 0)
    triangle = seen[rows, columns]
    corners = plane[head.uv_triangles[triangle]]
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=2)
    centre = np.stack([columns + 0.5, rows + 0.5], axis=1) / CANVAS
    later = np.linalg.solve(edges, (centre - corners[:, 0])[..., None])[..., 0]
    weights = np.column_stack([1 - later.sum(axis=1), later])
    points = np.einsum("nk,nkc->nc", weights, head.template[head.triangles[triangle]])
    joints = head.joints(head.template)
    left, right = (joints[JOINT_NAMES.index(name)] for name in ("left_eye", "right_eye"))
    near_rows, near_columns = distance_transform_edt(seen < 0, return_distances=False, return_indices=True)
    number = np.full(seen.shape, -1, np.int32)
    number[rows, columns] = np.arange(len(rows))
    return Canvas(
        flat=rows * CANVAS + columns,
        face=face_coordinates(head, points).astype(np.float32),
        parts={name: mask[head.triangles].all(axis=1)[triangle] for name, mask in head.regions.items()},
        from_eye=(points - np.where(points[:, :1] > 0, left, right)).astype(np.float32),
        nearest=number[near_rows, near_columns].ravel(),
    )
