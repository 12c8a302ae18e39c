"""A posed head as binary PLY: the head's vertices as they are, so that the atlas has no seams."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backend.export.meshes.posed import PosedHead
from backend.export.meshes.surface import Faces, surface_of
from backend.head_model.model import HeadModel

VERTEX = ("x", "y", "z", "nx", "ny", "nz", "s", "t")
"""The properties of a vertex, each a float32; s and t are ``HeadModel.uv``."""


def ply_writer(head: HeadModel) -> Callable[[PosedHead], bytes]:
    """What makes a file's bytes from each pose of a head: only places and normals differ between them."""
    surface = surface_of(head)
    faces = _packed(surface.quads) + _packed(surface.triangles)
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment metres, +y up, right-handed\n"
        f"element vertex {head.vertex_count}\n"
        + "".join(f"property float {name}\n" for name in VERTEX)
        + f"element face {len(surface.quads.vertices) + len(surface.triangles.vertices)}\n"
        "property list uchar int vertex_indices\nend_header\n"
    ).encode()

    def write(posed: PosedHead) -> bytes:
        rows = np.concatenate([posed.vertices, posed.normals, head.uv], axis=1).astype("<f4")
        return header + rows.tobytes() + faces

    return write


def _packed(faces: Faces) -> bytes:
    corners = faces.vertices.shape[1]
    rows = np.empty(len(faces.vertices), np.dtype([("count", "u1"), ("corners", "<i4", (corners,))]))
    rows["count"], rows["corners"] = corners, faces.vertices
    return rows.tobytes()
