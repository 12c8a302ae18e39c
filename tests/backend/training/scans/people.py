"""A person made of the open head, scanned: every place of the skin is known."""

from __future__ import annotations

import numpy as np

from backend.head_model.appearance import paint_texture
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, actions_of, surface_positions
from backend.head_model.registration.parts import parts_of_open_head
from backend.head_model.rigid import Similarity
from backend.training.scans.landmarks import annotated_points
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.register import Registered
from backend.training.scans.report import ScanReport

HEAD: HeadModel = load_head("open")
UNREPORTED = ScanReport(0, 0, 0, 0, 0, 0, 0, 1)


def person(**actions: float) -> np.ndarray:
    """Vertices (V,3) of somebody who does this."""
    rng = np.random.default_rng(3)
    names, basis = actions_of(HEAD)
    vertices = HEAD.neutral(0.7 * rng.standard_normal(12)).astype(np.float64)
    return vertices + sum(value * basis[names.index(name)] for name, value in actions.items())


def speckled_skin(side: int = 512) -> np.ndarray:
    """The painted skin with pores, as flow needs something to hold on to."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.normal(0, 14, (side // 4, side // 4)), np.ones((4, 4)))
    noise = rng.normal(0, 10, (side, side)) + coarse
    return np.clip(paint_texture(HEAD, side) + noise[..., None], 0, 255).astype(np.uint8)


def scanned(vertices: np.ndarray, texture: np.ndarray | None = None) -> ScanMesh:
    """Skin alone, as a scanner has it: no eyeballs, no mouth."""
    outer = parts_of_open_head(HEAD)["outer"][HEAD.triangles].all(axis=1)
    uv = HEAD.uv_vertices[HEAD.uv_triangles[outer]]
    return ScanMesh(vertices, HEAD.triangles[outer], None if texture is None else uv, texture)


def truth_of(vertices: np.ndarray) -> Registered:
    """What a perfect registration of ``scanned`` finds."""
    known = parts_of_open_head(HEAD)["outer"]
    return Registered(vertices, known, 1.0, Similarity(1.0, np.eye(3), np.zeros(3)), UNREPORTED)


def clicks(vertices: np.ndarray) -> np.ndarray:
    """The 44 where people put them (44,3)."""
    return surface_positions(annotated_points(HEAD), HEAD.triangles, vertices)
