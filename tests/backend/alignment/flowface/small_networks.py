"""A network small enough to run in every test."""

from __future__ import annotations

import torch

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.network import FlowFaceNetwork

SMALL = NetworkConfig(
    encoder="b0",
    image_size=64,
    uv_size=16,
    iterations=3,
    features=24,
    decoder=32,
    textures=8,
    hidden=24,
    context=16,
    motion=24,
    levels=2,
    radius=2,
)


def small_network() -> FlowFaceNetwork:
    """The same weights every time, in evaluation mode."""
    torch.manual_seed(3)
    return FlowFaceNetwork(SMALL).eval()
