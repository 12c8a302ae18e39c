"""Real alignment networks of few numbers, whose weights say a known thing of any picture."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.crop import CropLayout
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.head_model.library import load_head

SMALL = NetworkConfig(
    encoder="b0", image_size=64, uv_size=16, iterations=2, features=8, decoder=8, textures=4, hidden=8, context=8,
    motion=8, levels=2, radius=1,
)  # fmt: skip


def constant_network(
    step: tuple[float, float] = (0.0, 0.0), sigma_cells: float = 0.3, config: NetworkConfig = SMALL
) -> FlowFaceNetwork:
    """A network that lays the atlas over the middle of the crop, which happens to look like a face, moved by ``step``
    cells (right, down) per iteration; its σ is ``sigma_cells`` everywhere.
    """
    step = tuple(np.add(step, centring_step(config)).tolist())
    torch.manual_seed(0)
    network = FlowFaceNetwork(config)
    with torch.no_grad():
        for head, values in ((network.update.flow_head, step), (network.update.uncertainty_head, (raw(sigma_cells),))):
            head.second.weight.zero_()
            assert head.second.bias is not None
            head.second.bias.copy_(torch.tensor(values))
    return network.eval()


@lru_cache
def centring_step(config: NetworkConfig) -> tuple[float, float]:
    """The flow per iteration that brings the face's middle in the atlas to the middle of the crop, cells."""
    head, side = load_head(), config.image_size
    crop = CropLayout.of(head).crop(atlas_of(head.uv) * side, side)
    cells = (side / 2 - np.array([crop.x, crop.y])) / side * config.uv_size / config.iterations
    return float(cells[0]), float(cells[1])


def atlas_of(uv: NDArray[np.float32]) -> NDArray[np.float64]:
    """ν (N,2), right and down, of atlas coordinates (N,2)."""
    return np.column_stack([uv[:, 0], 1 - uv[:, 1]]).astype(np.float64)


def flow_px(step: tuple[float, float] = (0.0, 0.0), config: NetworkConfig = SMALL) -> NDArray[np.float64]:
    """By how many crop pixels ``constant_network(step)`` moves the atlas."""
    return np.add(step, centring_step(config)) * config.iterations * config.image_size / config.uv_size


def raw(sigma_cells: float) -> float:
    """The uncertainty head's output for σ well inside its bounds; near enough for tests."""
    return float(np.log(sigma_cells))
