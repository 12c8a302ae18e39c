"""The picture of a registered scan: the scan above, the open head with a checker below, from the same sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import HeadModel
from backend.head_model.registration.sheet import checker_texture
from backend.head_model.render import HeadRenderer
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.register import Registered
from backend.training.scans.views import ScanView, draw_scan

TILE = 420
_VIEWS = (
    ("face", 0.0, 2.6), ("face", 0.8, 2.6), ("face", -1.4, 2.6), ("left_eye", 0.2, 11.0), ("right_eye", -0.2, 11.0),
    ("lips", 0.0, 9.0), ("left_ear", 1.5, 7.0),
)  # fmt: skip
"""Where to look, from where in radians, and the focal length in tiles, a metre away."""


def scan_sheet(head: HeadModel, mesh: ScanMesh, found: Registered) -> NDArray[np.uint8]:
    """RGB (H,W,3): is each brow, lid, lip and ear of the head on the scan's? Raises ``no_opengl``."""
    turn = found.move.rotation
    scan = replace(mesh.scaled(found.unit), vertices=mesh.vertices * found.unit @ turn)
    vertices = found.vertices @ turn
    regions, left = head.regions, head.template[:, 0] > 0
    places = {
        "face": regions["face"],
        "left_eye": regions["left_eyeball"],
        "right_eye": regions["right_eyeball"],
        "lips": regions["lips"],
        "left_ear": regions["ears"] & left,
    }
    checker, corner_uv = checker_texture(1024), head.uv_vertices[head.uv_triangles]
    rows: tuple[list[NDArray[np.uint8]], ...] = ([], [])
    with HeadRenderer((TILE, TILE)) as renderer:
        for place, yaw, focal in _VIEWS:
            target = vertices[places[place]].mean(axis=0)
            view = ScanView.towards(target, 1.0, focal * TILE, TILE, yaw)
            rows[0].append(draw_scan(renderer, scan, view))
            rows[1].append(
                renderer.render(vertices, head.triangles, texture=checker, corner_uv=corner_uv, **view.optics)
            )
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])
