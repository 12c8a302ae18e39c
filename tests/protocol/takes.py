"""Small takes for the protocol's tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Array
from protocol.job import DistortionModel
from protocol.take import CameraTrack, HeadGeometry, TakeResult


def spoilt(array: Array, good: NDArray[Any], free: str) -> dict[str, NDArray[Any]]:
    """Versions of a declared array that it must not be, by what is wrong with them.

    Sizes among the words of ``free`` are those of no other array.
    """
    other = np.float64 if good.dtype == np.float16 else np.float16
    wrong = {"dtype": good.astype(other), "dimensions": good[..., None]}
    for axis, size in enumerate(array.shape):
        if size not in free.split():
            wrong[f"size {size}"] = np.concatenate([good, good.take([0], axis)], axis)
    if array.finite and good.dtype.kind == "f":
        for value in (np.nan, np.inf):
            wrong[str(value)] = good.copy()
            wrong[str(value)].flat[-1] = value
    return wrong


def png(width: int = 3, height: int = 2) -> NDArray[np.uint8]:
    """The first bytes of a PNG of this size."""
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return np.frombuffer(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + b"\x08\x02\0\0\0", np.uint8)


def wrinkles(random: np.random.Generator, side: int = 5) -> NDArray[np.float16]:
    """Maps of some wrinkles, half of them seen."""
    maps = random.normal(scale=1e-3, size=(4, side, side))
    maps[3] = np.arange(side) % 2
    return maps.astype(np.float16)


def poses(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Some [R | t] (count,3,4)."""
    some = np.linalg.qr(random.normal(size=(count, 3, 3)))[0]
    return np.concatenate([some * np.linalg.det(some)[:, None, None], random.normal(size=(count, 3, 1))], axis=2)


def small_take(frames: int = 3, cameras: int = 1) -> TakeResult:
    """A consistent take of a five-vertex head; numbers are random, so that a swapped array shows."""
    random = np.random.default_rng(frames * 10 + cameras)

    def f32(*shape: int) -> np.ndarray:
        return random.normal(size=shape).astype(np.float32)

    bounds = np.array([[0, 1], [-np.inf, np.inf]], np.float32)
    head = HeadGeometry(
        head_id="open",
        head_hash="0123456789abcdef",
        neutral=f32(5, 3),
        expression_names=("jawOpen", "mouthFunnel"),
        expression_deltas=f32(2, 5, 3),
        expression_bounds=bounds,
        triangles=np.array([[0, 1, 2], [2, 3, 4]], np.int32),
        uv_vertices=f32(6, 2),
        uv_triangles=np.array([[0, 1, 2], [3, 4, 5]], np.int32),
        joint_names=("root", "neck", "jaw", "left_eye", "right_eye"),
        joint_parents=np.array([-1, 0, 1, 1, 1], np.int32),
        joints=f32(5, 3),
        skinning_weights=np.full((5, 5), 0.2, np.float32),
        part_names=("skin", "eyes"),
        triangle_part=np.array([0, 1], np.int32),
        quads=np.array([[0, 1]], np.int32),
        own_vertices=4,
        light=np.linspace(0.2, 1, 5).astype(np.float32),
        lips=np.linspace(1, 0, 5).astype(np.float32),
        inter_ocular=0.09,
    )
    views = tuple(
        CameraTrack(
            name=f"camera{i}",
            footage=f"/footage/{i}.mp4",
            footage_kind="video",
            footage_first_frame=1,
            footage_frame_count=frames,
            footage_rotation=90,
            image_size=(360, 640),
            focal_px=random.uniform(400, 900, frames),
            principal_point=np.array([180.0, 320.5]),
            world_to_camera=poses(random, frames),
            reprojection_error_percent_iod=np.where(np.arange(frames) == i, np.nan, f32(frames)).astype(np.float32),
            footage_frames=np.arange(frames) * 2 - 1,
            focal_ratio=1.0 + i / 8,
            distortion=(0.1, -0.2, 0.0, 0.001)[: 4 * i],
            distortion_model=list(DistortionModel)[i % 2],
            proxy=f"/jobs/proxy/{i}.mp4" * i,
            proxy_first_frame=1 + 10 * i,
            landmarks_px=np.where(np.arange(frames)[:, None, None] == i, np.nan, f32(frames, 7, 2)).astype(np.float32),
        )
        for i in range(cameras)
    )
    error = f32(frames)
    error[0] = np.nan
    return TakeResult(
        name="a take",
        head=head,
        cameras=views,
        scene_frames=np.arange(1.0, frames + 1),
        frame_rate=25.0,
        expression=f32(frames, 2),
        head_rotation=random.normal(size=(frames, 3)),
        head_translation=random.normal(size=(frames, 3)),
        gaze=f32(frames, 2, 2),
        tracked=np.arange(frames) > 0,
        reprojection_error_percent_iod=error,
        report={"frames": frames, "seconds": {"fit": 0.25}, "versions": {"flowface": "0.1.0"}},
        action_names=("jawOpen", "mouthPucker", "tongueOut"),
        actions=random.uniform(size=(frames, 3)).astype(np.float32),
        uncertainty_mm=error * 0.5,
        iris_color=(0.25, 0.5, 0.125),
        texture=png(),
        wrinkles=wrinkles(random),
        landmark_vertices=(np.arange(21) % 5).reshape(7, 3).astype(np.int32),
        landmark_barycentric=f32(7, 3),
    )
