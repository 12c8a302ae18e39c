"""The coarse regressor's weights as one safetensors file: plain arrays, the dimensions and what they were made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.reading import read_bounded
from backend.training.coarse.config import CoarseNetworkConfig
from backend.training.coarse.network import CoarseNetwork

FORMAT = "flowface-coarse-1"
MAX_BYTES = 1 << 24
"""Three times what a network with a thousand hidden units takes."""
MAX_HIDDEN, MAX_IDENTITY = 2048, 1000
_HINT = "Use weights that “flowface train-coarse” of this version has written."


def save_coarse(path: Path, network: CoarseNetwork, config: CoarseNetworkConfig, about: Mapping[str, str]) -> None:
    """Write a network in half precision; ``about`` says what it was made with."""
    tensors = {name: value.detach().half().contiguous() for name, value in network.state_dict().items()}
    own = {"format": FORMAT, "config": json.dumps(asdict(config)), "expressions": str(network.sizes[1])}
    write_atomic(path, save(tensors, {**about, **own}), public=True)


def load_coarse(path: Path) -> CoarseNetwork:
    """The network of a file, in float32 and in evaluation mode.

    Raises UserError ``file_missing``, ``too_large``; ``bad_weights`` where it is no such file, does not fit its own
    dimensions or holds numbers that are not finite.
    """
    data = read_bounded(path, "coarse regressor's weights", MAX_BYTES)
    try:
        length = int.from_bytes(data[:8], "little")
        told = json.loads(data[8 : 8 + length])["__metadata__"]
        if told.get("format") != FORMAT:
            raise ValueError(f"its format is {told.get('format')!r}, not {FORMAT!r}")
        config = CoarseNetworkConfig(**json.loads(told["config"]))
        expressions = int(told["expressions"])
        if not (0 < config.hidden <= MAX_HIDDEN and 0 < config.identity <= MAX_IDENTITY and 0 < expressions <= 1000):
            raise ValueError("its dimensions are absurd")
        tensors = load(data)
        network = CoarseNetwork(config, expressions)
        if any(not torch.isfinite(value).all() for value in tensors.values()):
            raise ValueError("it holds numbers that are not finite")
        network.load_state_dict({name: value.float() for name, value in tensors.items()})
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        words = str(error).splitlines()[0]
        raise UserError(
            ErrorCode.BAD_WEIGHTS, f"{path} does not hold a coarse regressor's weights: {words}.", _HINT
        ) from error
    return network.eval()
