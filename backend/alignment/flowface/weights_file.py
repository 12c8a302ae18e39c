"""The network's weights as one safetensors file: plain arrays, the dimensions and what is known of their making."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.reading import open_named, parse_json, read_bounded

FORMAT = "flowface-alignment-1"
MAX_HEADER = 1 << 22
"""Bytes. The largest network's header has 0.2 million."""

MAX_BYTES = 1 << 30
"""Ten times as much as the network with the largest encoder has."""

MAX_SIZES = NetworkConfig(image_size=2048, uv_size=512, iterations=32, features=1024, decoder=2048, textures=256,
                          hidden=1024, context=1024, motion=1024, levels=6, radius=8)  # fmt: skip
"""No file may ask for a network larger than this in any number."""

_LATER = {"update"}
"""Dimensions that files of before do not tell; their defaults are what those files mean."""

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
_HINT = "Use weights that `flowface train` of this version has written."


def save_weights(path: Path, network: FlowFaceNetwork, metadata: Mapping[str, str], *, half: bool = False) -> None:
    """Write the network's weights and dimensions, with ``metadata`` beside them; ``half`` stores float16.

    Raises ValueError where a key of ``metadata`` is one of the file's own or a weight is not finite.
    """
    own = {"format": FORMAT, "config": json.dumps(asdict(network.config))}
    if taken := own.keys() & metadata.keys():
        raise ValueError(f"metadata uses the file's own keys {sorted(taken)}")
    tensors = {name: _stored(name, tensor, half) for name, tensor in network.state_dict().items()}
    write_atomic(path, save(tensors, {**metadata, **own}), public=True)


def load_weights(path: Path) -> FlowFaceNetwork:
    """The network of a file, on the CPU, in float32 and in evaluation mode.

    Raises:
        UserError: ``file_missing``; ``bad_weights`` where the file is not one, does not fit its own dimensions or holds
            numbers that are not finite; ``unknown_weights`` where it is of another format or version.
    """
    header, _ = _header(path)
    config = _config(path, header)
    with torch.device("meta"):
        network = FlowFaceNetwork(config)
    _check_tensors(path, header, network.state_dict())
    try:
        tensors = load(read_bounded(path, "weights", MAX_BYTES))
    except SafetensorError as error:
        raise _bad(path, str(error)) from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise _bad(path, f"{name} holds numbers that are not finite")
    network = FlowFaceNetwork(config)
    network.load_state_dict({n: t.float() if t.is_floating_point() else t for n, t in tensors.items()})
    return network.eval()


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata that ``save_weights`` got, without the weights. Raises ``UserError`` as ``load_weights`` does."""
    header, _ = _header(path)
    _config(path, header)
    return {key: value for key, value in header["__metadata__"].items() if key not in ("format", "config")}


def _stored(name: str, tensor: torch.Tensor, half: bool) -> torch.Tensor:
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return tensor
    tensor = tensor.to(torch.float16 if half else torch.float32)
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return tensor


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The file's table of arrays and how many bytes of arrays follow it; read by hand, because ``safe_open`` maps the
    whole file before anything about it is known."""
    with open_named(path, "weights") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER, size - 8):
            raise _bad(path, "it does not start as a safetensors file does")
        try:
            header = parse_json(file.read(length))
        except ValueError as error:
            raise _bad(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _bad(path, "its header is not a table")
    return header, size - 8 - length


def _config(path: Path, header: Mapping[str, Any]) -> NetworkConfig:
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        found = metadata.get("format") if isinstance(metadata, dict) else None
        raise UserError(
            ErrorCode.UNKNOWN_WEIGHTS, f"{path} is of the format {found!r}, but {FORMAT!r} was expected.", _HINT
        )
    try:
        given = parse_json(metadata["config"])
        expected = {field.name for field in fields(NetworkConfig)}
        if not isinstance(given, dict) or not expected - _LATER <= given.keys() <= expected:
            raise ValueError(f"its dimensions are not {sorted(expected)}")
        for name, value in given.items():
            limit = getattr(MAX_SIZES, name)
            if isinstance(limit, int) and not (type(value) is int and 0 < value <= limit):
                raise ValueError(f"{name} is {value!r}, but must be 1 to {limit}")
        for name, kind in get_type_hints(NetworkConfig).items():
            if name in given and get_origin(kind) is Literal and given[name] not in get_args(kind):
                raise ValueError(f"{name} is {given[name]!r}")
        return NetworkConfig(**given)
    except (KeyError, ValueError, TypeError) as error:
        raise _bad(path, str(error)) from error


def _check_tensors(path: Path, header: Mapping[str, Any], expected: Mapping[str, torch.Tensor]) -> None:
    """That the table lists exactly the network's arrays, before any of them is allocated."""
    listed = {name: entry for name, entry in header.items() if name != "__metadata__"}
    if missing := expected.keys() - listed.keys():
        raise _bad(path, f"{min(missing)} is missing")
    if extra := listed.keys() - expected.keys():
        raise _bad(path, f"{min(extra)} belongs to no part of the network")
    for name, tensor in expected.items():
        entry = listed[name]
        if not isinstance(entry, dict) or entry.get("shape") != list(tensor.shape):
            raise _bad(path, f"{name} is not of shape {tuple(tensor.shape)}")
        dtype = _DTYPES.get(str(entry.get("dtype")))
        if dtype is None or dtype.is_floating_point != tensor.is_floating_point():
            raise _bad(path, f"{name} holds {entry.get('dtype')}")


def _bad(path: Path, why: str) -> UserError:
    return UserError(ErrorCode.BAD_WEIGHTS, f"{path} does not hold the alignment network's weights: {why}.", _HINT)
