"""The recurrent update at a tenth of RAFT-L's price: depthwise and 1×1 convolutions in place of full ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from backend.alignment.flowface.config import NetworkConfig

STATE = 3  # channels of flow and log σ
STATE_CHANNELS = 16  # in which they are encoded
AROUND = 5  # cells along a side that the GRU sees; RAFT-L's two passes see a cross of 5


def separable(before: int, after: int, kernel: int = 3, *, bias: bool = True) -> nn.Sequential:
    """A depthwise convolution and a 1×1 one."""
    around = nn.Conv2d(before, before, kernel, padding=kernel // 2, groups=before, bias=False)
    return nn.Sequential(around, nn.Conv2d(before, after, 1, bias=bias))


class SlimMotionEncoder(nn.Module):
    """``MotionEncoder``'s task: look-up, flow and log σ to ``motion`` channels, the last three flow and log σ."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        correlations = config.levels * (2 * config.radius + 1) ** 2
        self.correlation = nn.Conv2d(correlations, config.motion, 1)
        self.state = nn.Conv2d(STATE, STATE_CHANNELS, 5, padding=2)
        self.join = separable(config.motion + STATE_CHANNELS, config.motion - STATE)

    def forward(self, correlations: Tensor, flow: Tensor, log_sigma: Tensor) -> Tensor:
        """Channels (B,motion,U,U) from correlations (B,·,U,U), flow (B,2,U,U) cells and log σ (B,1,U,U)."""
        state = torch.cat([flow, log_sigma], dim=1)
        looked_up = functional.relu(self.correlation(correlations))
        joined = functional.relu(self.join(torch.cat([looked_up, functional.relu(self.state(state))], dim=1)))
        return torch.cat([joined, state.to(joined.dtype)], dim=1)


class SlimGRU(nn.Module):
    """One pass of a convolutional GRU; what lies around is looked at once for all three gates."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        hidden, moving = config.hidden, config.hidden + config.motion
        self.hidden = hidden
        self.around = nn.Conv2d(moving, moving, AROUND, padding=AROUND // 2, groups=moving)
        self.gates = nn.Conv2d(moving, 2 * hidden, 1, bias=False)
        self.candidate = nn.Conv2d(moving, hidden, 1, bias=False)
        self.context = nn.Conv2d(config.context, 3 * hidden, 1)

    def of_context(self, context: Tensor) -> tuple[Tensor]:
        """The context's share of the gates, from c (1,context,U,U); for every iteration and image."""
        return (self.context(context),)

    def forward(self, hidden: Tensor, motion: Tensor, context: tuple[Tensor, ...]) -> Tensor:
        """The next hidden state (B,hidden,U,U)."""
        of_gates, of_candidate = torch.split(context[0], [2 * self.hidden, self.hidden], dim=1)
        moving = torch.cat([hidden, motion], dim=1)
        seen = moving + self.around(moving)
        update, reset = torch.sigmoid(self.gates(seen) + of_gates).chunk(2, dim=1)
        seen_hidden, seen_motion = seen.split([self.hidden, seen.shape[1] - self.hidden], dim=1)
        candidate = torch.tanh(self.candidate(torch.cat([reset * seen_hidden, seen_motion], dim=1)) + of_candidate)
        return torch.lerp(hidden, candidate, update)


class SlimUpdate(nn.Module):
    """``Update`` with the same inputs and outputs; one head tells flow and uncertainty."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.motion = SlimMotionEncoder(config)
        self.gru = SlimGRU(config)
        self.first = separable(config.hidden, config.hidden)
        self.second = separable(config.hidden, STATE)

    def forward(
        self, correlations: Tensor, context: tuple[Tensor, ...], flow: Tensor, log_sigma: Tensor, hidden: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Step of the flow (B,2,U,U) in cells and raw log σ (B,1,U,U), in float32; the hidden state (B,hidden,U,U)."""
        motion = self.motion(correlations, flow, log_sigma)
        hidden = self.gru(hidden.to(motion.dtype), motion, context)
        told = self.second(functional.relu(self.first(hidden))).float()
        return told[:, :2], told[:, 2:], hidden
