"""A head in a known picture, seen by a camera, drawn without light so that every pixel is the picture's own colour."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from backend.head_model.atlas_texels import AtlasTexels
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel
from backend.head_model.rasterise import rasterise
from backend.texture.make import posed_head
from backend.track.geometry import neutral_of
from backend.track.types import Track
from protocol.face_actions import ARKIT_ACTIONS
from tests.blender.runners import FRAMES, performance

Image = NDArray[np.uint8]

SIZE, FOCAL = (400, 400), 800.0
GREEN = (0, 255, 0)
"""Of eyes and the mouth's inside, which no skin has."""
WALL = (20, 30, 160)


def turning(yaws: NDArray[np.floating]) -> Track:
    """A silent head before the camera, at each frame turned by a yaw (radians, + to the subject's left)."""
    take = performance("clip.mp4")
    head = load_head("open")
    frames = len(yaws)
    assert frames <= FRAMES
    rotation = Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec(np.outer(yaws, [0, 1, 0]))
    middle = neutral_of(head, take).mean(axis=0).astype(np.float64)
    camera = replace(
        take.cameras[0],
        image_size=SIZE,
        focal_px=np.full(frames, FOCAL),
        principal_point=np.array(SIZE) / 2,
        world_to_camera=np.tile(np.eye(3, 4), (frames, 1, 1)),
        footage_frames=np.arange(1, frames + 1),
        reprojection_error_percent_iod=np.full(frames, 0.9, np.float32),
    )
    kept = {name: getattr(take, name)[:frames] for name in ("frames", "scene_frames", "tracked")}
    return replace(
        take,
        **kept,
        times=np.arange(frames) / 2,
        cameras=(camera,),
        expression=np.zeros_like(take.expression[:frames]),
        gaze=np.zeros_like(take.gaze[:frames]),
        head_rotation=rotation.as_rotvec(),
        head_translation=np.array([0, 0, 0.7]) - rotation.apply(middle),
        reprojection_error_percent_iod=take.reprojection_error_percent_iod[:frames],
        skin_error_percent_iod=take.skin_error_percent_iod[:frames],
        uncertainty_mm=np.zeros(0, np.float32),
        action_names=ARKIT_ACTIONS,
        actions=np.zeros((frames, len(ARKIT_ACTIONS)), np.float32),
        expression_sigma=np.zeros((0, 0), np.float32),
    )


@lru_cache(maxsize=1)
def person(side: int = 512) -> Image:
    """Blotched skin, the same on both sides, with green eyes and mouth."""
    random = np.random.default_rng(4)
    marks = sum(
        strength * cv2.resize(random.standard_normal((cells, cells)), (side, side), interpolation=cv2.INTER_CUBIC)
        for cells, strength in ((12, 14.0), (48, 12.0), (120, 8.0))
    )
    skin = np.clip(np.array([190.0, 145.0, 125.0]) + (marks + marks[:, ::-1])[..., None] * 0.7, 0, 255).astype(np.uint8)
    head = load_head("open")
    names = ("left_eyeball", "right_eyeball", "mouth_bag", "teeth", "tongue")
    inside = np.any([head.regions[name][head.triangles].any(axis=1) for name in names], axis=0)
    texels = AtlasTexels.of(head, side, inside)
    skin[texels.rows, texels.columns] = GREEN
    return skin


def picture(track: Track, head: HeadModel, frame: int, texture: Image) -> Image:
    """What the camera sees of the head in ``texture (S,S,3)`` before a wall."""
    face = posed_head(track, head, 0, frame, neutral_of(head, track))
    raster = rasterise(
        face.vertices,
        head.triangles,
        focal_px=face.focal_px,
        principal_point=np.array(face.principal_point),
        image_size=SIZE,
    )
    corners = (head.uv_vertices * (1, -1) + (0, 1))[head.uv_triangles[raster.triangle]]
    at = np.einsum("hwk,hwkc->hwc", raster.barycentric, corners) * len(texture) - 0.5
    seen = cv2.remap(texture, at.astype(np.float32), None, cv2.INTER_LINEAR)
    seen[~raster.covered] = WALL
    return np.asarray(seen, np.uint8)
