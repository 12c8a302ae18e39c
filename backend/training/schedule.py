"""The learning rate and the data in the draw, as functions of the step alone, so that a resumed run goes on alike."""

from __future__ import annotations

import math

from backend.training.config import DataConfig, OptimiserConfig


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """The rate at ``step`` (from 0) of ``config.steps``."""
    rise = min(1.0, (step + 1) / config.rise_steps) if config.rise_steps else 1.0
    done = min(1.0, step / config.steps)
    if config.schedule == "steps":
        fall = config.drop_factor ** math.floor(done * (config.drops + 1) if done < 1 else config.drops)
    else:
        fall = config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * done)) / 2
    return config.learning_rate * rise * fall


def shards_in_draw(step: int, config: DataConfig) -> int:
    """The number of shards, from the first, that a batch of ``step`` is drawn from."""
    if not config.steps_per_shard:
        return config.shards
    return min(config.shards, config.first_shards + step // config.steps_per_shard)


def average_decay(step: int, config: OptimiserConfig) -> float:
    """The share of the averaged weights that stays at ``step``: little at first, so that their start is forgotten."""
    return min(config.ema, (1 + step) / (10 + step))
