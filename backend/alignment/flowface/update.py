"""RAFT's recurrent update, with the uncertainty as a second state (seeds/001 eq. 4, seeds/000 fig. 7)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.config import NetworkConfig


class MotionEncoder(nn.Module):
    """Encodes the look-up, the previous flow and the previous uncertainty in ``motion`` channels.

    RAFT-L's encoder; the flow's branch takes log σ as its third channel, and both are passed on unchanged at the end.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        motion = config.motion
        correlations = config.levels * (2 * config.radius + 1) ** 2
        self.correlation_1 = nn.Conv2d(correlations, 2 * motion, 1)
        self.correlation_2 = nn.Conv2d(2 * motion, 3 * motion // 2, 3, padding=1)
        self.flow_1 = nn.Conv2d(3, motion, 7, padding=3)
        self.flow_2 = nn.Conv2d(motion, motion // 2, 3, padding=1)
        self.join = nn.Conv2d(3 * motion // 2 + motion // 2, motion - 3, 3, padding=1)

    def forward(self, correlations: Tensor, flow: Tensor, log_sigma: Tensor) -> Tensor:
        """Channels (B,motion,U,U) from correlations (B,·,U,U), flow (B,2,U,U) cells and log σ (B,1,U,U)."""
        state = torch.cat([flow, log_sigma], dim=1)
        looked_up = functional.relu(self.correlation_2(functional.relu(self.correlation_1(correlations))))
        moved = functional.relu(self.flow_2(functional.relu(self.flow_1(state))))
        joined = functional.relu(self.join(torch.cat([looked_up, moved], dim=1)))
        return torch.cat([joined, state.to(joined.dtype)], dim=1)


class _GRUPass(nn.Module):
    """One convolutional GRU along rows or columns, its update and reset gates in one convolution.

    The context never changes: its share of every gate is computed once per forward pass, for the whole batch.
    """

    def __init__(self, config: NetworkConfig, kernel: tuple[int, int]) -> None:
        super().__init__()
        hidden, moving = config.hidden, config.hidden + config.motion
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.hidden = hidden
        self.gates = nn.Conv2d(moving, 2 * hidden, kernel, padding=padding, bias=False)
        self.candidate = nn.Conv2d(moving, hidden, kernel, padding=padding, bias=False)
        self.context = nn.Conv2d(config.context, 3 * hidden, kernel, padding=padding)
        _init_as_one(config.context, moving, [self.gates, self.candidate, self.context])

    def forward(self, hidden: Tensor, motion: Tensor, context: Tensor) -> Tensor:
        of_gates, of_candidate = torch.split(context, [2 * self.hidden, self.hidden], dim=1)
        gates = torch.sigmoid(self.gates(torch.cat([hidden, motion], dim=1)) + of_gates)
        update, reset = gates.chunk(2, dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([reset * hidden, motion], dim=1)) + of_candidate)
        return torch.lerp(hidden, candidate, update)


def _init_as_one(context: int, moving: int, parts: list[nn.Conv2d]) -> None:
    """PyTorch's own range for convolutions, by the inputs of the one convolution that the parts stand for."""
    for part in parts:
        bound = (part.weight[0, 0].numel() * (context + moving)) ** -0.5
        nn.init.uniform_(part.weight, -bound, bound)
        if part.bias is not None:
            nn.init.uniform_(part.bias, -bound, bound)


class SeparableGRU(nn.Module):
    """RAFT-L's SepConvGRU: a pass of 1×5 and a pass of 5×1 convolutions."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.rows = _GRUPass(config, (1, 5))
        self.columns = _GRUPass(config, (5, 1))

    def of_context(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """The context's shares of the gates, from c (1,context,U,U); for every iteration and image."""
        return self.rows.context(context), self.columns.context(context)

    def forward(self, hidden: Tensor, motion: Tensor, context: tuple[Tensor, Tensor]) -> Tensor:
        """The next hidden state (B,hidden,U,U)."""
        hidden = self.rows(hidden, motion, context[0])
        return self.columns(hidden, motion, context[1])


class Head(nn.Module):
    """RAFT's flow head: two convolutions from the hidden state to ``channels``."""

    def __init__(self, hidden: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(hidden, 2 * hidden, 3, padding=1)
        self.second = nn.Conv2d(2 * hidden, channels, 3, padding=1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Outputs (B,channels,U,U)."""
        out: Tensor = self.second(functional.relu(self.first(hidden)))
        return out


class Update(nn.Module):
    """U of eq. 4, without RAFT's upsampling mask: points are sampled bilinearly where they lie."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.motion = MotionEncoder(config)
        self.gru = SeparableGRU(config)
        self.flow_head = Head(config.hidden, 2)
        self.uncertainty_head = Head(config.hidden, 1)

    def forward(
        self, correlations: Tensor, context: tuple[Tensor, Tensor], flow: Tensor, log_sigma: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Step of the flow (B,2,U,U) in cells, raw log σ (B,1,U,U), both float32, and the hidden state (B,hidden,U,U).

        ``context`` is ``gru.of_context(c)``; ``flow`` and ``log_sigma`` are those of the iteration before.
        """
        motion = self.motion(correlations, flow, log_sigma)
        hidden = self.gru(hidden.to(motion.dtype), motion, context)
        return self.flow_head(hidden).float(), self.uncertainty_head(hidden).float(), hidden
