"""The open head laid over the target's face, and which of its triangles each of the target's moves like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backend.head_model.appearance import Palette, default_colors, eye_colors
from backend.head_model.model import BoolArray, HeadModel
from backend.head_model.registration.correspondence import Correspondence, correspond
from backend.head_model.registration.face_points import FacePoints, sphere_centre
from backend.head_model.registration.parts import CAVITIES, Parts, parts_of, parts_of_open_head
from backend.head_model.registration.types import OpenFaceMesh, SourceHead
from backend.head_model.surface import MeshSurface
from backend.transfer.types import F64, Triangles

HEAD_RADIUS = 0.30
"""Metres from the middle of the open head's skull within which a mesh is looked at: what is beyond stays."""
HEAD_CENTRE = np.array([0.0, -0.02, -0.06])


@dataclass(frozen=True, eq=False)
class Overlay:
    """The open head over a target of V vertices, F triangles, both in head space.

    ``triangle (F,)`` is the open head's triangle that each of the target's moves like, ``share (F,)`` how much so.
    """

    match: Correspondence
    parts: Parts
    triangle: NDArray[np.intp]
    share: F64

    def colors(self, open_head: HeadModel) -> NDArray[np.float32]:
        """sRGB colours (V,3): the open head's where the target lies under it, its own eyes painted."""
        vertices = self.match.foot.position
        colors = self.match.carried(default_colors(open_head), open_head).astype(np.float32)
        for eye in self.parts.eyes:
            colors[eye] = eye_colors(vertices[eye] - sphere_centre(vertices[eye]), Palette())
        return colors


def overlay(
    vertices: F64,
    triangles: Triangles,
    skin: BoolArray,
    eyes: tuple[BoolArray, BoolArray] | None,
    given: FacePoints | None,
    open_head: HeadModel,
    face_mesh: OpenFaceMesh,
    on_progress: Callable[[float, str], None],
) -> Overlay:
    """Lay the open head over a target.

    ``eyes`` are the left and the right eyeball (V,), ``skin (V,)`` the piece that bears the face.

    Raises what ``correspond`` raises.
    """
    count = len(vertices)
    regions = {"skin": skin}
    if eyes is not None:
        regions |= {"left_eyeball": eyes[0], "right_eyeball": eyes[1]}
    nothing = np.zeros((0, count, 3), np.float32)
    source = SourceHead(
        "mesh",
        vertices.astype(np.float32),
        triangles,
        nothing,
        nothing,
        (),
        np.zeros((0, 2), np.float32),
        "",
        regions=regions,
    )
    parts = parts_of(source)
    match = correspond(source, parts, open_head, face_mesh, on_progress, given)
    triangle, share = _triangle_feet(vertices, triangles, parts, match, open_head)
    return Overlay(match, parts, triangle, share)


def _triangle_feet(
    vertices: F64, triangles: Triangles, parts: Parts, match: Correspondence, open_head: HeadModel
) -> tuple[NDArray[np.intp], F64]:
    """For each triangle the open head's that its middle lies on, facing the same way, and its corners' least weight."""
    own = parts_of_open_head(open_head)
    corners = vertices[triangles]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
    middle = corners.mean(axis=1)
    found = match.foot.triangle[triangles[:, 0]].copy()
    on_skin = parts.inside("outer", triangles)
    chosen = np.any([own.inside(kind, open_head.triangles) for kind in ("outer", *CAVITIES)], axis=0)
    surface = MeshSurface(match.bent, open_head.triangles, chosen)
    found[on_skin] = surface.closest_nearby(middle[on_skin], normal[on_skin]).triangle
    return found, match.weight[triangles].min(axis=1)
