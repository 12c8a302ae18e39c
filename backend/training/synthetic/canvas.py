"""The canonical atlas as something to paint on: what each texel of it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from backend.head_model.appearance import face_coordinates
from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.model import JOINT_NAMES, HeadModel

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
    texels = AtlasTexels.drawn(head, CANVAS)
    points = texels.on_surface(head, head.template)
    joints = head.joints(head.template)
    left, right = (joints[JOINT_NAMES.index(name)] for name in ("left_eye", "right_eye"))
    number = np.full((CANVAS, CANVAS), -1, np.int32)
    number[texels.rows, texels.columns] = np.arange(len(points))
    near_rows, near_columns = distance_transform_edt(number < 0, return_distances=False, return_indices=True)
    return Canvas(
        flat=texels.rows * CANVAS + texels.columns,
        face=face_coordinates(head, points).astype(np.float32),
        parts={name: mask[head.triangles].all(axis=1)[texels.triangle] for name, mask in head.regions.items()},
        from_eye=(points - np.where(points[:, :1] > 0, left, right)).astype(np.float32),
        nearest=number[near_rows, near_columns].ravel(),
    )
