"""Films of heads with sculpted wrinkles: pictures of displaced normals in a lamp's and the sky's light.

The normals are bent in the picture (Mikkelsen 2010, "Bump Mapping Unparametrized Surfaces on the GPU"), and the sky's
light comes down into the furrows as far as their walls let it, so that nothing is shared with what finds them again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.detail.displace import displacement
from backend.detail.skin import skin_patch
from backend.detail.types import F32, Wrinkles
from backend.evaluation.wrinkles.hair import COLOR, hair_slides
from backend.evaluation.wrinkles.sculpt import skin_picture
from backend.head_model.model import HeadModel
from backend.head_model.rasterise import Raster, rasterise
from backend.head_model.render import Light, vertex_normals
from backend.texture.make import posed_head
from backend.track.geometry import neutral_of
from backend.track.types import CameraTrack, Track
from protocol.face_actions import ARKIT_ACTIONS

Image = NDArray[np.uint8]
F64 = NDArray[np.float64]

SKY_WAYS, SKY_STEPS, SKY_MM = 8, 5, 5.0
"""Directions and steps in which a place looks for walls about it, and how far."""
DISTANCE_M = 0.65


@dataclass(frozen=True)
class Studio:
    """``side`` of the square picture in pixels, ``zoom`` the focal length in sides, ``fine`` samples a pixel along each
    way, lamps in camera space, ``sky`` of even light, and the noise's standard deviation in grey levels."""

    side: int = 480
    zoom: float = 2.2
    fine: int = 2
    lights: tuple[Light, ...] = (
        Light((-0.5, -0.8, -1.0), (0.75, 0.75, 0.75)),
        Light((0.9, -0.2, -0.7), (0.2, 0.2, 0.2)),
    )
    sky: float = 0.35
    noise: float = 1.5


ACTS = {
    "raise": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "frown": ("browDownLeft", "browDownRight"),
    "open": ("jawOpen",),
}


def act(head: HeadModel, studio: Studio, frames: int, *, turn: float, seed: int = 1) -> Track:
    """Brows that rise and frown and a mouth that opens, while the head turns by up to ``turn`` radians, slowly."""
    random = np.random.default_rng(seed)
    time = np.arange(frames) / max(frames - 1, 1)
    curves = {
        "raise": np.clip(np.sin(2 * np.pi * (2 * time + 0.02)), 0, 1),
        "frown": np.clip(-np.sin(2 * np.pi * (2 * time + 0.02)), 0, 1),
        "open": np.clip(np.sin(2 * np.pi * (3 * time + 0.3)), 0, 1) * 0.6,
    }
    expression = np.zeros((frames, len(head.expression_names)), np.float32)
    for number, name in enumerate(head.expression_names):
        for what, of in ACTS.items():
            if any(name.startswith(one) for one in of):
                expression[:, number] = curves[what]
    yaw, pitch = turn * np.sin(2 * np.pi * 1.3 * time + 0.5), 0.5 * turn * np.sin(2 * np.pi * 0.9 * time)
    rotation = Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_euler("YX", np.column_stack([yaw, pitch]))
    identity = np.zeros(len(head.shape_basis), np.float32)
    identity[: min(12, len(identity)) : 2] = random.normal(size=len(identity[: min(12, len(identity)) : 2]))
    face = head.regions["face"]
    middle = head.neutral(identity)[face].mean(axis=0).astype(np.float64)
    camera = CameraTrack(
        name="camera",
        footage="film.mp4",
        footage_kind="video",
        footage_first_frame=1,
        footage_frame_count=frames,
        footage_rotation=0,
        image_size=(studio.side, studio.side),
        focal_px=np.full(frames, studio.zoom * studio.side),
        principal_point=np.full(2, studio.side / 2),
        world_to_camera=np.tile(np.eye(3, 4), (frames, 1, 1)),
        footage_frames=np.arange(1, frames + 1),
    )
    return Track(
        head_id=head.id,
        head_hash=head.hash,
        identity=identity,
        expression=expression,
        head_rotation=rotation.as_rotvec(),
        head_translation=np.array([0, 0, DISTANCE_M]) - rotation.apply(middle),
        gaze=np.zeros((frames, 2, 2), np.float32),
        cameras=(camera,),
        frames=np.arange(1, frames + 1),
        scene_frames=np.arange(1.0, frames + 1),
        times=np.arange(frames) / 12.5,
        frame_rate=12.5,
        tracked=np.ones(frames, bool),
        reprojection_error_percent_iod=np.full(frames, 0.9, np.float32),
        action_names=ARKIT_ACTIONS,
        actions=np.zeros((frames, len(ARKIT_ACTIONS)), np.float32),
    )


class Film:
    """The pictures of a track of a head that wears wrinkles, and the same with painted brow hair."""

    def __init__(self, track: Track, head: HeadModel, wrinkles: Wrinkles, studio: Studio, seed: int = 5) -> None:
        self._track, self._head, self._wrinkles, self._studio, self._seed = track, head, wrinkles, studio, seed
        self._albedo = skin_picture(head, wrinkles.side)
        self._neutral = neutral_of(head, track)

    def __call__(self, view: int, frames: Sequence[int]) -> Iterator[tuple[int, Image]]:
        """As ``Pictures``."""
        return ((frame, self.picture(frame)) for frame in frames if view == 0)

    def picture(self, frame: int) -> Image:
        """RGB (H,W,3) of a frame."""
        raster, at, light = self._lit(frame)
        return self._exposed(frame, raster, _sampled(self._albedo, at) * light[..., None])

    def with_hair(self, frame: int, hair: F32) -> tuple[Image, Image]:
        """A frame without and with brow ``hair (S,S)``, as ``brow_hair`` makes it, that slides."""
        raster, at, light = self._lit(frame)
        skin = _sampled(self._albedo, at)
        slide = hair_slides(self._track, self._head.expression_names)[frame] / self.texel_mm
        cover = _sampled(hair, at - slide.astype(np.float32))[..., None]
        hairy = skin + cover * (np.array(COLOR, np.float32) - skin)
        plain, other = (self._exposed(frame, raster, color * light[..., None]) for color in (skin, hairy))
        return plain, other

    @property
    def texel_mm(self) -> float:
        """A texel's usual width on the face."""
        return skin_patch(self._head, self._wrinkles.side).texel_mm

    def _lit(self, frame: int) -> tuple[Raster, F32, F64]:
        """What each sample shows, its place in the atlas and the light on it."""
        studio = self._studio
        depth = displacement(self._track, self._head, self._wrinkles, frame)
        raster, points, normals, at = self._surface(frame)
        texel_mm = 1e3 * _per_texel(points, at, raster)
        sky = _open_sky(1e3 * depth, texel_mm)
        own = _sampled(depth, at)
        normals = _bent(points, normals, own, raster.covered)
        light = studio.sky * _sampled(sky, at)
        for lamp in studio.lights:
            towards = np.asarray(lamp.direction) / np.linalg.norm(lamp.direction)
            light = light + lamp.color[0] * np.maximum(normals @ towards, 0)
        return raster, at, light

    def _exposed(self, frame: int, raster: Raster, linear: NDArray[np.floating[Any]]) -> Image:
        """The picture of samples of linear brightness (h,w,3)."""
        studio = self._studio
        linear = np.where(raster.covered[..., None], linear, 0.05)
        size = (studio.side, studio.side)
        linear = cv2.resize(linear.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        noise = np.random.default_rng((self._seed, frame)).normal(0, studio.noise, linear.shape)
        return np.clip(255 * np.clip(linear, 0, 1) ** (1 / 2.2) + noise + 0.5, 0, 255).astype(np.uint8)

    def _surface(self, frame: int) -> tuple[Raster, F64, F64, F32]:
        """What each sample shows: its place and smooth normal in camera space (h,w,3), its place in the atlas."""
        head, fine = self._head, self._studio.fine
        face = posed_head(self._track, head, 0, frame, self._neutral)
        vertices = np.asarray(face.vertices, np.float64)
        raster = rasterise(
            vertices,
            head.triangles,
            focal_px=face.focal_px * fine,
            principal_point=np.array(face.principal_point, np.float64) * fine,
            image_size=(self._studio.side * fine, self._studio.side * fine),
        )
        corners = head.triangles[raster.triangle]
        weights = raster.barycentric
        points = np.einsum("hwk,hwkc->hwc", weights, vertices[corners])
        normals = np.einsum("hwk,hwkc->hwc", weights, vertex_normals(vertices, head.triangles)[corners])
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
        flat = (head.uv_vertices * (1, -1) + (0, 1))[head.uv_triangles[raster.triangle]]
        at = np.einsum("hwk,hwkc->hwc", weights, flat) * self._wrinkles.side
        return raster, points, normals, at.astype(np.float32)


def _sampled(picture: F32, at: F32) -> F32:
    return np.asarray(cv2.remap(picture, at - np.float32(0.5), None, cv2.INTER_LINEAR), np.float32)


def _per_texel(points: F64, at: F32, raster: Raster) -> float:
    """Metres a texel, as is usual in the picture."""
    both = raster.covered[:, 1:] & raster.covered[:, :-1] & (raster.triangle[:, 1:] == raster.triangle[:, :-1])
    apart = np.linalg.norm(np.diff(points, axis=1)[both], axis=-1)
    texels = np.linalg.norm(np.diff(at, axis=1)[both], axis=-1)
    return float(np.median(apart / np.maximum(texels, 1e-6)))


def _bent(points: F64, normals: F64, depth: F32, covered: NDArray[np.bool_]) -> F64:
    """The normals of the surface that lies ``depth (h,w)`` off points (h,w,3)."""
    along_y, along_x = np.gradient(points, axis=(0, 1))
    down, across = np.gradient(np.asarray(depth, np.float64))
    one, other = np.cross(along_y, normals), np.cross(normals, along_x)
    area = np.einsum("hwc,hwc->hw", along_x, one)
    safe = np.where(np.abs(area) > 1e-12, area, np.inf)
    slope = (across[..., None] * one + down[..., None] * other) / safe[..., None]
    steep = np.linalg.norm(slope, axis=-1)
    inner = cv2.erode(covered.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    bent = normals - np.where((inner & (steep < 3))[..., None], slope, 0)
    return np.asarray(bent / np.maximum(np.linalg.norm(bent, axis=-1, keepdims=True), 1e-9))


def _open_sky(depth_mm: F32, texel_mm: float) -> F32:
    """(S,S) the share of an even sky's light that comes to each texel past the walls about it: the mean of cos² of the
    horizon's height over directions."""
    light = np.zeros_like(depth_mm)
    for way in np.arange(SKY_WAYS) * (2 * np.pi / SKY_WAYS):
        steepest = np.zeros_like(depth_mm)
        for step in np.arange(1, SKY_STEPS + 1) / SKY_STEPS:
            reach = SKY_MM * step
            across, down = reach * np.cos(way) / texel_mm, reach * np.sin(way) / texel_mm
            moved = np.array([[1, 0, across], [0, 1, down]], np.float32)
            other = cv2.warpAffine(depth_mm, moved, depth_mm.shape[::-1], flags=cv2.INTER_LINEAR)
            steepest = np.maximum(steepest, (other - depth_mm) / np.float32(reach))
        light += 1 / (1 + steepest**2)
    return np.asarray(light / SKY_WAYS, np.float32)
