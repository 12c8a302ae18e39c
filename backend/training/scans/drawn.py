"""Registered scans as the stage takes them, posed before a camera with the labels that they bring."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from backend.alignment.flowface.crop import CropLayout
from backend.errors import ErrorCode, UserError
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.render import vertex_normals
from backend.training.atlas_points import atlas_points, with_landmarks
from backend.training.samples import Sample, sample_side
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.registered import RegisteredScan
from backend.training.synthetic.lighting import Lighting
from backend.training.synthetic.source import visible_points
from backend.training.synthetic.stage import Stage, Surface
from backend.training.synthetic.views import Camera, frame

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Tint = tuple[float, float, float]


class DrawnScans(AbstractContextManager["DrawnScans", None]):
    """Draws registered scans; a context manager. ``nominal`` is the crop's side, pixels.

    Labels weigh λ (seeds/000 D.3: 1 on face and ears, 0.005 elsewhere) where the scan has the point, 0 where it has
    none: eyeballs, the mouth's inside, what the scanner missed. The cells of the atlas take theirs from these.
    Where not ``coloured``, shape alone is drawn, in white.

    Raises UserError ``bad_mesh`` for a scan without colours where ``coloured``, ``no_opengl``.
    """

    def __init__(self, scans: Sequence[RegisteredScan], nominal: int, *, coloured: bool = True) -> None:
        head = load_head("open")
        self.nominal = nominal
        self.layout = CropLayout.of(head)
        self.scans = [DrawnScan(scan, head, coloured=coloured) for scan in scans]
        self._stage = Stage(sample_side(nominal))
        for number, drawn in enumerate(self.scans):
            wet = np.full(len(drawn.row), 0.06, np.float32)
            self._stage.add_mesh(f"scan{number}", drawn.uv, wet, {"all": drawn.triangles})
            self._stage.add_texture(f"scan{number}", drawn.picture)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._stage.close()

    def draw(
        self,
        number: int,
        turn: F64,
        place: F64,
        lighting: Lighting,
        tint: Tint,
        background: NDArray[np.uint8],
        source: str,
    ) -> tuple[Sample, Camera]:
        """Scan ``number`` turned into camera space by ``turn (3,3)``, the middle of its face at ``place (3,)`` metres.

        With it the camera whose picture the nominal crop fills as ``frame`` has it.
        """
        drawn = self.scans[number]
        points = drawn.placed(drawn.points, turn, place)
        camera = frame(self.layout, points, self.nominal)
        mu = camera.project(points)
        surface = Surface(
            mesh=f"scan{number}",
            vertices=drawn.placed(drawn.vertices, turn, place)[drawn.row].astype(np.float32),
            normals=(drawn.normals @ turn.T)[drawn.row].astype(np.float32),
            texture=f"scan{number}",
            tint=tint,
            two_sided=True,
        )
        picture, foreground, depth = self._stage.draw([surface], camera, lighting, background)
        sample = Sample(
            image=picture,
            mu=mu.astype(np.float32),
            weight=drawn.weight,
            visible=visible_points(mu, points[:, 2], depth),
            foreground=foreground,
            crop=self.layout.crop(mu, self.nominal),
            source=source,
        )
        return sample, camera


class DrawnScan:
    """A scan as the stage takes it: corners split where the picture is, labels beside it; metres, head upright."""

    def __init__(self, scan: RegisteredScan, head: HeadModel, *, coloured: bool) -> None:
        found, mesh = scan.found, scan.mesh.scaled(scan.found.unit)
        level = found.move.rotation  # the open head's frame in the scan's
        self.name = scan.name
        self.vertices = mesh.vertices @ level
        self.normals = vertex_normals(self.vertices, mesh.triangles)
        on_open = found.vertices @ level
        self.points: F64 = with_landmarks(head, on_open)
        self.middle = on_open[head.regions["face"] & head.regions["skin"]].mean(axis=0)
        corners = head.triangles[head.landmarks["mediapipe478"].triangle]
        known = np.concatenate([found.known, found.known[corners].all(axis=1)])
        self.weight: F32 = (atlas_points(head).weight * known).astype(np.float32)
        self.row, self.uv, self.triangles, self.picture = _laid_out(scan.name, mesh) if coloured else _white(mesh)

    def placed(self, points: F64, turn: F64, place: F64) -> F64:
        """Points (n,3) of the upright head in the space of a camera, where the face's middle is at ``place``."""
        return np.asarray((points - self.middle) @ turn.T + place)


def _white(mesh: ScanMesh) -> tuple[NDArray[np.intp], F32, NDArray[np.int32], NDArray[np.uint8]]:
    """As ``_laid_out``, without the scan's colours."""
    count = len(mesh.vertices)
    return np.arange(count), np.full((count, 2), 0.5, np.float32), mesh.triangles, np.full((1, 1, 4), 255, np.uint8)


def _laid_out(name: str, mesh: ScanMesh) -> tuple[NDArray[np.intp], F32, NDArray[np.int32], NDArray[np.uint8]]:
    """Which vertex each drawn one is (R,), its place on the picture (R,2), triangles of drawn ones, the picture."""
    if mesh.texture is not None and mesh.corner_uv is not None:
        place = np.concatenate([mesh.triangles.reshape(-1, 1), mesh.corner_uv.reshape(-1, 2)], axis=1)
        split, where = np.unique(place, axis=0, return_inverse=True)
        alpha = np.full((*mesh.texture.shape[:2], 1), 255, np.uint8)
        picture = np.concatenate([mesh.texture, alpha], axis=2)
        return split[:, 0].astype(np.intp), split[:, 1:].astype(np.float32), _triangles(where), picture
    if mesh.colors is None:
        raise UserError(
            ErrorCode.BAD_MESH, f"The scan {name} has no colours to draw it with.", "Register it with its picture."
        )
    return _colours_as_picture(mesh.colors, mesh.triangles)


def _colours_as_picture(
    colors: F32, triangles: NDArray[np.int32]
) -> tuple[NDArray[np.intp], F32, NDArray[np.int32], NDArray[np.uint8]]:
    """Colours at vertices (V,3) as a picture with a pixel of each triangle's own: scans have small triangles."""
    count = len(triangles)
    side = int(np.ceil(np.sqrt(count)))
    cells = np.zeros((side * side, 4), np.uint8)
    cells[:, 3] = 255
    cells[:count, :3] = np.clip(colors[triangles].mean(axis=1) * 255 + 0.5, 0, 255)
    number = np.arange(count)
    uv = np.column_stack([number % side + 0.5, side - number // side - 0.5]) / side
    row = triangles.reshape(-1).astype(np.intp)
    corners = np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
    return row, np.repeat(uv, 3, axis=0).astype(np.float32), corners, cells.reshape(side, side, 4)


def _triangles(where: NDArray[np.intp]) -> NDArray[np.int32]:
    return where.reshape(-1, 3).astype(np.int32)
