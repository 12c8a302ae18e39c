"""One step down a loss, as both ways of teaching a driver take it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STEEPEST = 10.0
"""Norm to which a gradient is cut."""


def descend(optimiser: torch.optim.Optimizer, of: nn.Module, loss: Tensor, rate: float, done: float) -> None:
    """Take a step of ``rate``, which falls to 0 over the second half of a run, ``done`` (0…1) of which is behind it.

    A gradient that is not finite moves nothing.
    """
    for group in optimiser.param_groups:
        group["lr"] = rate * min(1.0, 2 * (1 - done))
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(of.parameters(), STEEPEST)
    if bool(torch.isfinite(norm)):
        optimiser.step()
