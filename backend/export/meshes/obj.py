"""A posed head as Wavefront OBJ: quads, the atlas with its seams, a group for each part of the head."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backend.export.meshes.number_lines import number_lines
from backend.export.meshes.posed import PosedHead
from backend.export.meshes.surface import Faces, surface_of
from backend.head_model.model import HeadModel

BEGIN = b"# metres, +y up, right-handed\no head\n"
DECIMALS = 6  # a micrometre


def obj_writer(head: HeadModel) -> Callable[[PosedHead], bytes]:
    """What makes a file's bytes from each pose of a head: only places and normals differ between them."""
    surface = surface_of(head)
    atlas = number_lines("vt", head.uv_vertices, DECIMALS)
    faces = "".join(
        f"g {name}\n{_face_lines(surface.quads, part)}{_face_lines(surface.triangles, part)}"
        for part, name in enumerate(surface.part_names)
    )
    after = atlas + faces.encode()

    def write(posed: PosedHead) -> bytes:
        places = number_lines("v", posed.vertices, DECIMALS)
        return BEGIN + places + number_lines("vn", posed.normals, DECIMALS) + after

    return write


def _face_lines(faces: Faces, part: int) -> str:
    chosen = faces.part == part
    corners = np.stack([faces.vertices[chosen], faces.atlas[chosen], faces.vertices[chosen]], axis=2) + 1
    line = f"f{' %d/%d/%d' * corners.shape[1]}\n"
    return (line * len(corners)) % tuple(corners.ravel().tolist())
