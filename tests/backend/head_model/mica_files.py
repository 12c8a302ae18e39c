"""Checkpoints in the exact form of MICA's ``mica.tar``, with random weights.

Names and shapes are written down here from https://github.com/Zielon/MICA (models/arcface.py, models/generator.py,
models/flame.py, micalib/trainer.py), not taken from the code under test. What training leaves beside the weights is
there, too: the optimiser's state, and the validator's numpy numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

Shape = tuple[int, ...]
STAGES = ((64, 3), (128, 13), (256, 30), (512, 3))
FLAME = {"v_template": (5023, 3), "shapedirs": (5023, 3, 400), "posedirs": (36, 15069), "J_regressor": (5, 5023)}


def norm(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{part}", (width,)
    yield f"{name}.num_batches_tracked", ()


def arcface_shapes() -> Iterator[tuple[str, Shape]]:
    """Every tensor of the IResNet-100 of ``arcface_torch``."""
    yield "conv1.weight", (64, 3, 3, 3)
    yield from norm("bn1", 64)
    yield "prelu.weight", (64,)
    came = 64
    for stage, (width, count) in enumerate(STAGES, start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            yield from norm(f"{name}.bn1", came)
            yield f"{name}.conv1.weight", (width, came, 3, 3)
            yield from norm(f"{name}.bn2", width)
            yield f"{name}.prelu.weight", (width,)
            yield f"{name}.conv2.weight", (width, width, 3, 3)
            yield from norm(f"{name}.bn3", width)
            if block == 0:
                yield f"{name}.downsample.0.weight", (width, came, 1, 1)
                yield from norm(f"{name}.downsample.1", width)
            came = width
    yield from norm("bn2", 512)
    yield "fc.weight", (512, 25088)
    yield "fc.bias", (512,)
    yield from norm("features", 512)


def regressor_shapes() -> Iterator[tuple[str, Shape]]:
    for layer, came in enumerate((512, 300, 300, 300)):
        yield f"regressor.network.{layer}.weight", (300, came)
        yield f"regressor.network.{layer}.bias", (300,)
    yield "regressor.output.weight", (300, 300)
    yield "regressor.output.bias", (300,)


class Weights:
    """Random tensors that keep numbers of a usual size through a hundred layers.

    Cut from one pool of random numbers at random places: 65 million of them are drawn in no time.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._pool = torch.as_tensor(self._random.uniform(-1, 1, 1 << 20).astype(np.float32))

    def __call__(self, name: str, shape: Shape) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(160_000)
        count = int(np.prod(shape))
        start = int(self._random.integers(len(self._pool) // 2))
        drawn = self._pool[start:].repeat(count // (len(self._pool) // 2) + 1)[:count].clone().reshape(shape)
        if len(shape) > 1:
            return drawn * (3 / float(np.prod(shape[1:]))) ** 0.5
        if name.endswith("weight") or name.endswith("running_var"):  # of the last norm of a block: what it adds
            return (0.2 if ".bn3." in name and name.endswith("weight") else 0.8) + 0.1 * drawn
        return 0.1 * drawn


def mica_checkpoint(template: np.ndarray[Any, Any], shapedirs: np.ndarray[Any, Any], seed: int = 4) -> dict[str, Any]:
    """The whole checkpoint, for a FLAME of this mean (5023,3) and these 400 shapes (5023,3,400)."""
    weights = Weights(seed)
    arcface_state = torch.nn.Module().state_dict()  # has the attribute that torch gives its states
    flame_state = torch.nn.Module().state_dict()
    arcface_state.update((name, weights(name, shape)) for name, shape in arcface_shapes())
    flame_state.update((name, weights(name, shape)) for name, shape in regressor_shapes())
    fields = {"v_template": torch.tensor(template).float(), "shapedirs": torch.tensor(shapedirs).float()}
    for name, shape in FLAME.items():
        flame_state[f"generator.{name}"] = fields.get(name, torch.zeros(shape))
    flame_state["generator.faces_tensor"] = torch.zeros((9976, 3), dtype=torch.long)
    flame_state["generator.eye_pose"] = torch.zeros((1, 6))
    flame_state["generator.parents"] = torch.tensor([-1, 0, 1, 1, 1])
    return {
        "flameModel": flame_state,
        "arcface": arcface_state,
        "opt": {
            "state": {0: {"step": 160_000, "exp_avg": torch.zeros(300, 512), "exp_avg_sq": torch.zeros(300, 512)}},
            "param_groups": [{"lr": 1e-5, "betas": (0.9, 0.999), "amsgrad": False, "params": [0, 1]}],
        },
        "scheduler": {"step_size": 1, "gamma": 0.1, "base_lrs": [1e-5, 1e-5], "_last_lr": [1e-5]},
        "validator": {
            "embeddings_lyhm": {"00001": [np.ones(512, np.float32)]},
            "best_model": {"average": np.float64(0.98), "smoothed_average": np.inf, "now_mean": None, "counter": 7},
        },
        "epoch": 31,
        "global_step": 160_000,
        "batch_size": 8,
    }


def save(path: Path, checkpoint: dict[str, Any]) -> Path:
    torch.save(checkpoint, path)
    return path
