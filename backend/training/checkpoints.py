"""Checkpoints: all that a run needs to go on as if it had never stopped, in one file that is whole or absent."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from backend.errors import ErrorCode, UserError
from backend.files import put_in_place
from backend.training.config import TrainConfig

NAME = "checkpoint.pt"


class Average:
    """Exponential moving average of a network's weights and buffers."""

    def __init__(self, network: nn.Module) -> None:
        self.state = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float) -> None:
        """Keep ``decay`` of the average and add the rest of what ``network`` is now."""
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """``step`` is the next one to do; the generators need no state, as every step seeds its own."""

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[str, Any]
    config: dict[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write ``folder``/checkpoint.pt, replacing the one before only once it is whole."""
    path = folder / NAME
    unfinished = folder / f".{NAME}.{secrets.token_hex(4)}"
    try:
        torch.save({**vars(checkpoint), "config": json.dumps(checkpoint.config)}, unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        put_in_place(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in ``folder``; tensors on the CPU. Raises UserError ``file_missing`` and ``bad_checkpoint``."""
    path = folder / NAME
    if not path.is_file():
        raise UserError(ErrorCode.FILE_MISSING, f"There is no checkpoint at {path}.", "Start without --resume.")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(**{**held, "config": json.loads(held["config"])})
    except Exception as error:  # torch raises many unrelated types on bad bytes
        raise UserError(ErrorCode.BAD_CHECKPOINT, f"{path} is not a checkpoint of a training run: {error}.") from error


def other_run(folder: Path, part: str, theirs: object, ours: object) -> UserError:
    """The error of a checkpoint whose ``part`` of the configuration differs."""
    return UserError(
        ErrorCode.OTHER_RUN,
        f"{folder / NAME} belongs to another run: its {part} is {theirs}, not {ours}.",
        "Train into another folder.",
    )


def load_checkpoint(folder: Path, config: TrainConfig) -> Checkpoint:
    """The checkpoint of a run with the same network; tensors on the CPU.

    Raises UserError ``file_missing``, ``bad_checkpoint`` and ``other_run``.
    """
    checkpoint = read_checkpoint(folder)
    for part in ("network", "run"):
        ours, theirs = config.as_dict()[part], checkpoint.config.get(part)
        if part == "network":  # a run of before does not tell what had no other choice then
            theirs = {"update": "full", **(theirs or {})}
        if part == "run":
            ours, theirs = ours["seed"], (theirs or {}).get("seed")
        if ours != theirs:
            raise other_run(folder, part, theirs, ours)
    return checkpoint
