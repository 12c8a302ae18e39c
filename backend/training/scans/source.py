"""Training samples of registered scans seen from new sides (seeds/000 D): random focal lengths and directions."""

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
from backend.training.samples import NOMINAL, Sample, sample_side
from backend.training.scans.mesh import ScanMesh
from backend.training.scans.registered import RegisteredScan
from backend.training.synthetic.backgrounds import draw_background
from backend.training.synthetic.lighting import LAMPS, Lighting
from backend.training.synthetic.source import visible_points
from backend.training.synthetic.stage import Stage, Surface
from backend.training.synthetic.views import Pose, draw_place, frame, posed

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

YAW, PITCH = 90.0, 45.0
"""Degrees from the front up to which views are drawn (seeds/000 D)."""
_ROLL = 10.0  # degrees, standard deviation


class ScanSource(AbstractContextManager["ScanSource", None]):
    """Renders samples of registered scans; a context manager. ``nominal`` is the crop's side, pixels.

    Labels weigh λ (seeds/000 D.3: 1 on face and ears, 0.005 elsewhere) where the scan has the point, 0 where it has
    none: eyeballs, the mouth's inside, what the scanner missed. The cells of the atlas take theirs from these.

    Raises UserError ``bad_mesh`` for a scan without colours, ``no_opengl``.
    """

    def __init__(self, scans: Sequence[RegisteredScan], nominal: int = NOMINAL) -> None:
        self._head = load_head("open")
        self._nominal = nominal
        self._layout = CropLayout.of(self._head)
        self._scans = [_Drawn(scan, self._head) for scan in scans]
        self._stage = Stage(sample_side(nominal))
        for number, drawn in enumerate(self._scans):
            wet = np.full(len(drawn.row), 0.06, np.float32)
            self._stage.add_mesh(f"scan{number}", drawn.uv, wet, {"all": drawn.triangles})
            self._stage.add_texture(f"scan{number}", drawn.picture)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back."""
        self._stage.close()

    def sample(self, index: int, rng: np.random.Generator) -> Sample:
        """The sample that ``rng`` draws, of the scans in turn; ``index`` also names it."""
        return self.render(index % len(self._scans), draw_view(rng), index, rng)

    def render(self, number: int, pose: Pose, index: int, rng: np.random.Generator) -> Sample:
        """A sample of scan ``number`` as ``pose`` turns it; ``rng`` draws light and background."""
        drawn = self._scans[number]
        turn = pose.rotation
        points = (drawn.points - drawn.middle) @ turn.T + pose.place
        camera = frame(self._layout, points, self._nominal)
        mu = camera.project(points)
        surface = Surface(
            mesh=f"scan{number}",
            vertices=((drawn.vertices - drawn.middle) @ turn.T + pose.place)[drawn.row].astype(np.float32),
            normals=(drawn.normals @ turn.T)[drawn.row].astype(np.float32),
            texture=f"scan{number}",
            tint=_tint(rng),
            two_sided=True,
        )
        background = draw_background(rng, sample_side(self._nominal))
        picture, foreground, depth = self._stage.draw([surface], camera, draw_scan_light(rng), background)
        return Sample(
            image=picture,
            mu=mu.astype(np.float32),
            weight=drawn.weight,
            visible=visible_points(mu, points[:, 2], depth),
            foreground=foreground,
            crop=self._layout.crop(mu, self._nominal),
            source=f"scan {drawn.name} {index}",
        )


def draw_view(random: np.random.Generator) -> Pose:
    """Evenly to ±90° of yaw and ±45° of pitch, mostly 0.3 to 2 m away: the focal length follows from the crop."""
    yaw, pitch = np.deg2rad(random.uniform(-YAW, YAW)), np.deg2rad(random.uniform(-PITCH, PITCH))
    roll = np.deg2rad(np.clip(random.normal(0, _ROLL), -30, 30))
    return posed(float(yaw), float(pitch), float(roll), draw_place(random))


def draw_scan_light(random: np.random.Generator) -> Lighting:
    """Mostly even, as a scan's picture brings its own light; one faint lamp gives it a side."""
    level = random.uniform(0.55, 1.05)
    ambient = np.zeros((3, 4))
    ambient[:, 0] = level
    ambient[:, 1:] = level * random.normal(0, 0.12, 3)
    direction = np.array([random.uniform(-1, 1), random.uniform(-1, 0.3), -1.0])
    directions = np.tile(direction / np.linalg.norm(direction), (LAMPS, 1))
    colors = np.zeros((LAMPS, 3))
    colors[0] = random.uniform(0, 0.35)
    return Lighting(ambient, directions, colors, gloss=random.uniform(0.1, 0.8), shadow=random.uniform(0, 0.6))


def _tint(random: np.random.Generator) -> tuple[float, float, float]:
    red, green, blue = np.exp(random.normal(0, 0.12) + random.normal(0, 0.04, 3))
    return float(red), float(green), float(blue)


class _Drawn:
    """A scan as the stage takes it: corners split where the picture is, labels beside it; metres, head upright."""

    def __init__(self, scan: RegisteredScan, head: HeadModel) -> None:
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
        self.row, self.uv, self.triangles, self.picture = _laid_out(scan.name, mesh)


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
