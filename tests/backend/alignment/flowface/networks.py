"""Real alignment networks of few numbers, whose weights say a known thing of any picture."""

from __future__ import annotations

import numpy as np
import torch

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.network import FlowFaceNetwork

SMALL = NetworkConfig(
    encoder="b0", image_size=64, uv_size=16, iterations=2, features=8, decoder=8, textures=4, hidden=8, context=8,
    motion=8, levels=2, radius=1,
)  # fmt: skip


def constant_network(
    step: tuple[float, float] = (0.0, 0.0), sigma_cells: float = 0.3, config: NetworkConfig = SMALL
) -> FlowFaceNetwork:
    """A network whose flow is ``step`` cells (right, down) per iteration and whose σ is ``sigma_cells`` everywhere.

    Without a step it lays the atlas over the crop, which happens to look like a face.
    """
    torch.manual_seed(0)
    network = FlowFaceNetwork(config)
    with torch.no_grad():
        for head, values in ((network.update.flow_head, step), (network.update.uncertainty_head, (raw(sigma_cells),))):
            head.second.weight.zero_()
            assert head.second.bias is not None
            head.second.bias.copy_(torch.tensor(values))
    return network.eval()


def raw(sigma_cells: float) -> float:
    """What the uncertainty head must say for σ well inside its bounds; near enough for tests."""
    return float(np.log(sigma_cells))
