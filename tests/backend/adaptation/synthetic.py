"""A clip that costs nothing to make: one skin that stays where it is before a ground that changes, and a tiny network
that has learnt nothing, so that its answers tremble with the ground."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from backend.adaptation.frames import SIDE, Frames, hold_out
from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.head_model.library import load_head
from backend.training.atlas_points import atlas_points

TINY = NetworkConfig(
    encoder="b0", image_size=64, uv_size=16, iterations=1, features=8, decoder=16, textures=4, hidden=16, context=16,
    motion=16, levels=2, radius=2,
)  # fmt: skip


def tiny_network(seed: int = 3) -> FlowFaceNetwork:
    """It lays the atlas over the crop almost as it is, and is sure of it."""
    torch.manual_seed(seed)
    network = FlowFaceNetwork(TINY).eval()
    with torch.no_grad():
        network.update.uncertainty_head.second.bias.fill_(-3.0)
        network.update.flow_head.second.weight.mul_(4.0)
    return network


def clip(count: int = 30, seed: int = 5) -> Frames:
    """``count`` frames; MediaPipe's landmarks lie where the atlas has them."""
    rng = np.random.default_rng(seed)
    skin = _noise(rng, 24)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    ground = np.hypot(x, y)[..., None] > 0.42
    pictures = np.stack([np.where(ground, _noise(rng, 6), skin) for _ in range(count)]).astype(np.uint8)
    size = TINY.image_size
    images = np.stack([cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) for picture in pictures])
    points = atlas_points(load_head("open"))
    landmarks = np.repeat(points.nu[points.mediapipe][None], count, axis=0).astype(np.float32)
    number = np.arange(1, count + 1)
    return Frames(
        images=images,
        pictures=pictures,
        landmarks=landmarks,
        sigma=np.full(landmarks.shape[:2], 0.01, np.float32),
        to_image=np.repeat(np.array([[[300.0, 0, 10], [0, 300.0, 20]]]), count, axis=0),
        clip=np.zeros(count, np.int64),
        number=number,
        follows=number > 1,
        held_out=hold_out(number),
    )


def _noise(rng: np.random.Generator, cells: int) -> np.ndarray:
    coarse = rng.integers(30, 226, (cells, cells, 3), np.uint8)
    return cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
