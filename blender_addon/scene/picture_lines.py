"""What is drawn over the footage through a camera of a take: the head's wireframe, and landmarks beside the head's own.

Everything here is numbers, of which ``draw_over_footage`` makes pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import axes, materials
from . import ownership as replace
from .landmarks import Landmarks, landmarks_at

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

EYE_PARTS = ("eyes", "iris", "pupil")
EYE_RIM = 0.97
"""Of an eyeball's radius: what is nearer to its outline is taken for seen."""


@dataclass(frozen=True, eq=False)
class Eye:
    """A camera in a frame: ``focal`` and ``principal_point`` in pixels of its picture, ``to_camera (4,4)`` from the
    scene's world into Blender's camera space."""

    focal: float
    principal_point: tuple[float, float]
    to_camera: F64

    def pixels(self, points: F64) -> F64:
        """(n,2) pixels of the picture of points (n,3) of the world."""
        seen = points @ self.to_camera[:3, :3].T + self.to_camera[:3, 3]
        return self.focal * seen[:, :2] * (1, -1) / -seen[:, 2:] + self.principal_point

    def depths(self, points: F64) -> F64:
        """(n,) how far points (n,3) of the world are in front of the camera."""
        return np.asarray(-(points @ self.to_camera[2, :3] + self.to_camera[2, 3]))

    def points(self, pixels: NDArray[Any], depths: F64) -> F64:
        """(n,3) the points of the world behind pixels (n,2) of the picture, at depths (n,)."""
        rays = (np.asarray(pixels, np.float64) - self.principal_point) / self.focal
        seen = np.column_stack([rays[:, 0], -rays[:, 1], -np.ones(len(rays))]) * depths[:, None]
        return (seen - self.to_camera[:3, 3]) @ self.to_camera[:3, :3]

    @property
    def place(self) -> F64:
        """(3,) of the world."""
        return -self.to_camera[:3, 3] @ self.to_camera[:3, :3]


def eye_of(camera: Any, size: tuple[int, int], depsgraph: Any) -> Eye:
    """A camera object as it is in the depsgraph's frame, whose picture has ``size``."""
    shown = camera.evaluated_get(depsgraph)
    data = shown.data
    lens = axes.Lens(data.sensor_fit, data.sensor_width, data.sensor_height, data.shift_x, data.shift_y)
    focal, principal_point = axes.pinhole(lens, data.lens, size)
    matrix = np.array(shown.matrix_world, np.float64)
    matrix[:3, :3] /= np.linalg.norm(matrix[:3, :3], axis=0)  # a camera's scale does not count
    return Eye(focal, principal_point, np.linalg.inv(matrix))


@dataclass(frozen=True, eq=False)
class PosedHead:
    """A head as it is in a frame: its evaluated ``mesh``, ``points (V,3)`` of the world, and how many of that world's
    units a metre of the head is."""

    mesh: Any
    points: F64
    scale: float


def posed_head(head: Any, depsgraph: Any) -> PosedHead | None:
    """The head object in the depsgraph's frame; None where it is hidden or in Edit Mode, as Blender does not evaluate
    its mesh then."""
    if head is None or head.mode == "EDIT" or not head.visible_get(view_layer=depsgraph.view_layer):
        return None
    shown = head.evaluated_get(depsgraph)
    mesh, matrix = shown.data, np.array(shown.matrix_world, np.float64)
    local = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", local)
    scale = float(np.cbrt(abs(np.linalg.det(matrix[:3, :3]))))
    return PosedHead(mesh, local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3], scale)


def visible_edges(posed: PosedHead, place: F64) -> NDArray[np.int32]:
    """(E,2) vertices of the edges of the skin's faces that look towards a place (3,) of the world."""
    mesh, corners = posed.mesh, len(posed.mesh.loops)
    start = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", start)
    material = _integers(mesh, "material_index", len(start))
    vertex, edge = _integers(mesh, ".corner_vert", corners), _integers(mesh, ".corner_edge", corners)
    one, two, three = (posed.points[vertex[start + step]] for step in (0, 1, 2))
    facing = np.einsum("fc,fc->f", np.cross(two - one, three - one), place - one) > 0
    sizes, parts = np.diff(np.append(start, corners)), parts_of(mesh)
    if "skin" in parts:
        facing &= np.isin(material, np.flatnonzero(parts == "skin"))
    wanted = np.zeros(len(mesh.edges), bool)
    wanted[edge[np.repeat(facing, sizes)]] = True
    eyes = np.repeat(np.isin(material, np.flatnonzero(np.isin(parts, EYE_PARTS))), sizes)
    found = _integers(mesh, ".edge_verts", 2 * len(mesh.edges)).reshape(-1, 2)[wanted]
    return found[~_behind_eyes(posed.points, np.unique(vertex[eyes]), place)[found].any(axis=1)]


def _integers(mesh: Any, attribute: str, count: int) -> NDArray[np.int32]:
    """An attribute of integers, 0 where the mesh does not have it: twenty times as fast as what stands for it."""
    values = np.zeros(count, np.int32)
    if attribute in mesh.attributes:
        mesh.attributes[attribute].data.foreach_get("value", values)
    return values


def parts_of(mesh: Any) -> NDArray[np.str_]:
    """The part of the head that each of a mesh's materials is for, "" of the user's own."""
    return np.array([worn.get(materials.PART_KEY, "") if worn else "" for worn in mesh.materials] or [""])


def _behind_eyes(points: F64, eyes: NDArray[np.int32], place: F64) -> NDArray[np.bool_]:
    """(V,) which points are hidden from a place by an eyeball, as sockets are; ``eyes`` are vertices of eyeballs.

    The eyeballs are two balls, on either side of the middle between their vertices.
    """
    hidden = np.zeros(len(points), bool)
    if not len(eyes):
        return hidden
    balls = points[eyes]
    across = np.linalg.svd(balls - balls.mean(axis=0), full_matrices=False)[2][0]
    side = (balls - balls.mean(axis=0)) @ across > 0
    rays = points - place
    lengths = np.linalg.norm(rays, axis=1)
    for ball in (balls[side], balls[~side]):
        centre = ball.mean(axis=0) if len(ball) else place
        radius = float(np.median(np.linalg.norm(ball - centre, axis=1))) if len(ball) else 0.0
        along = rays @ (centre - place) / np.maximum(lengths, 1e-9)
        apart = np.sqrt(np.maximum(((centre - place) ** 2).sum() - along**2, 0))
        hidden |= (apart < EYE_RIM * radius) & (lengths > along)
    return hidden


def known_triangles(mesh: Any, errors: F32) -> NDArray[np.int32]:
    """(n,3) the triangles of an evaluated mesh at whose corners the errors (V,) are known (0 or more)."""
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    triangles = triangles.reshape(-1, 3)
    return triangles[(errors[triangles] >= 0).all(axis=1)]


@dataclass(frozen=True, eq=False)
class SeenLandmarks:
    """Of n landmarks: where they were ``seen (n,3)``, where the head has them ``(n,3)``, both of the world and equally
    far from the camera, and by how much they differ: ``error (n,)`` in percent of the inter-ocular distance, NaN where
    that is not known. ``number (n,)`` tells which of the take's landmarks they are.
    """

    seen: F64
    on_head: F64
    error: F64
    number: NDArray[np.int64]


def seen_landmarks(landmarks: Landmarks, posed: PosedHead, eye: Eye) -> SeenLandmarks | None:
    """The landmarks that a view saw in a frame, beside the head's; None where the head has other vertices by now."""
    if int(landmarks.vertices.max()) >= len(posed.points):
        return None
    on_head = landmarks.on(posed.points)
    number = np.flatnonzero(np.isfinite(landmarks.seen).all(axis=1) & (eye.depths(on_head) > 0))
    on_head, pixels = on_head[number], landmarks.seen[number]
    depths = eye.depths(on_head)
    off = np.linalg.norm(eye.pixels(on_head) - pixels, axis=1)
    unit = eye.focal * landmarks.inter_ocular * posed.scale / depths
    error = 100 * off / unit if landmarks.inter_ocular else np.full(len(off), np.nan)
    return SeenLandmarks(eye.points(pixels, depths), on_head, error, number)


def landmarks_of(take: Any, view: replace.ShownView, frame: float, depsgraph: Any) -> SeenLandmarks | None:
    """The landmarks of a take in one of its views on a frame; None where nothing is known of them."""
    posed = posed_head(replace.member(take, replace.HEAD), depsgraph)
    known = landmarks_at(take, view.name, frame)
    if posed is None or known is None or view.camera is None or view.size is None:
        return None
    return seen_landmarks(known, posed, eye_of(view.camera, view.size, depsgraph))
