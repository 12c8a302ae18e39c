"""Pictures of a scan from chosen sides, and the way back from a pixel to its surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.head_model.render import HeadRenderer, Light, look_at_head
from backend.training.scans.mesh import ScanMesh

F64 = NDArray[np.float64]

_PLAIN = ((0.95, 0.95, 0.95), 0.0)  # ambient light on a textured scan, whose picture has its own light already
_SHOWN_DEPTH = 0.004
"""Metres behind the surface that a pixel shows at which a point still counts as seen."""


@dataclass(frozen=True, eq=False)
class ScanView:
    """A pinhole of ``size`` (w,h) pixels: ``focal_px``, ``principal_point``, ``world_to_camera (3,4)``, metres."""

    focal_px: float
    principal_point: tuple[float, float]
    world_to_camera: F64
    size: tuple[int, int]

    @classmethod
    def towards(
        cls, target: F64, distance: float, focal_px: float, side: int, yaw: float = 0.0, pitch: float = 0.0
    ) -> ScanView:
        """From ``distance`` metres on the face's ``target``; angles in radians, as ``look_at_head`` has them."""
        pose = look_at_head(distance, yaw, pitch, [float(x) for x in target])
        return cls(focal_px, (side / 2, side / 2), pose, (side, side))

    def project(self, points: NDArray[np.floating[Any]]) -> tuple[F64, F64]:
        """Pixels (n,2) and depths (n,) of points (n,3)."""
        camera = np.asarray(points, np.float64) @ self.world_to_camera[:, :3].T + self.world_to_camera[:, 3]
        return camera[:, :2] / camera[:, 2:] * self.focal_px + self.principal_point, camera[:, 2]

    @property
    def optics(self) -> dict[str, Any]:
        """As ``HeadRenderer`` takes them."""
        return {
            "focal_px": self.focal_px,
            "principal_point": self.principal_point,
            "world_to_camera": self.world_to_camera,
        }


def draw_scan(renderer: HeadRenderer, mesh: ScanMesh, view: ScanView) -> NDArray[np.uint8]:
    """The picture (h,w,3) that the scan shows: its own colours without new light, or grey clay in light."""
    if not mesh.coloured:
        lights = (Light((-0.5, -0.6, -1.0), (0.6, 0.6, 0.6)), Light((0.7, 0.2, -0.7), (0.25, 0.25, 0.25)))
        colors = np.broadcast_to(np.array([0.80, 0.61, 0.51]), mesh.vertices.shape)
        return renderer.render(mesh.vertices, mesh.triangles, colors, lights=lights, **view.optics)
    ambient, gloss = _PLAIN
    return renderer.render(
        mesh.vertices,
        mesh.triangles,
        mesh.colors,
        texture=mesh.texture,
        corner_uv=mesh.corner_uv,
        lights=(),
        ambient=(ambient[0] / 0.65, ambient[1] / 0.65, ambient[2] / 0.65),
        gloss=gloss,
        **view.optics,
    )


def lift(renderer: HeadRenderer, mesh: ScanMesh, view: ScanView, pixels: F64) -> F64:
    """The surface's points (n,3) that pixels (n,2) show; NaN where they show none."""
    buffers = renderer.surface(mesh.vertices, mesh.triangles, **view.optics)
    return lifted(buffers.triangle, mesh, view, pixels)


def lifted(triangle: NDArray[np.int32], mesh: ScanMesh, view: ScanView, pixels: F64) -> F64:
    """As ``lift``, from the picture (h,w) of triangles: the ray through each pixel, cut with the plane it meets."""
    width, height = view.size
    column, row = np.floor(np.nan_to_num(pixels, nan=-1)).astype(np.int64).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    hit = np.where(inside, triangle[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)], -1)
    corners = mesh.vertices[mesh.triangles[np.maximum(hit, 0)]]
    pose = view.world_to_camera
    origin = -pose[:, 3] @ pose[:, :3]
    image = np.column_stack([(np.nan_to_num(pixels) - view.principal_point) / view.focal_px, np.ones(len(pixels))])
    ray = image @ pose[:, :3]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    along = np.einsum("nc,nc->n", ray, normal)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.einsum("nc,nc->n", corners[:, 0] - origin, normal) / along
        points = origin + depth[:, None] * ray
    # a pixel's centre lies in the triangle, the pixel's own place may lie a little beside it
    slack = 2 * np.linalg.norm(corners - corners.mean(axis=1, keepdims=True), axis=2).max(axis=1)
    near = np.linalg.norm(points - corners.mean(axis=1), axis=1) < slack + 1e-9
    return np.asarray(np.where(((hit >= 0) & near)[:, None], points, np.nan))


def seen(depth: NDArray[np.floating[Any]], view: ScanView, points: F64) -> NDArray[np.bool_]:
    """Which points (n,3) a picture's ``depth (h,w)`` does not hide."""
    pixels, away = view.project(points)
    width, height = view.size
    column, row = np.floor(pixels).astype(np.int64).T
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height) & (away > 0)
    shown = depth[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return np.asarray(inside & np.isfinite(shown) & (away < shown + _SHOWN_DEPTH))
