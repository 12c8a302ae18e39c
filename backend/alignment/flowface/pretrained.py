"""Encoders that begin with what others have taught them: MediaPipe's trunk, or a SegFormer's local file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load

from backend.alignment.flowface.encoder import FaceMeshEncoder, SegformerEncoder
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.errors import ErrorCode, UserError
from backend.reading import read_bounded

MAX_BYTES = 1 << 30
"""Three times what the largest SegFormer has."""


def take_encoder(network: FlowFaceNetwork, path: Path | None = None) -> None:
    """Give the network's encoder weights to begin with, in place; the rest of it stays as it was.

    Without ``path`` the encoder face_mesh takes the network that comes with FlowFace. With one it takes a .tflite
    file of the same network, and a MiT a .safetensors file with the names of ``transformers``' SegFormer.

    Raises UserError: ``bad_weights`` where the file holds something else, ``file_missing``.
    """
    encoder = network.encoder
    content = None if path is None else read_bounded(path, "encoder's weights", MAX_BYTES)
    try:
        if isinstance(encoder, FaceMeshEncoder):
            encoder.trunk.take_published(content)
        elif content is not None:
            take_segformer(encoder, content)
        else:
            raise ValueError("a MiT needs a file")
    except (ValueError, SafetensorError) as error:
        where = path or "The network that comes with FlowFace"
        raise UserError(
            ErrorCode.BAD_WEIGHTS,
            f"{where} does not hold weights of the encoder {network.config.encoder}: {error}.",
            "face_mesh takes MediaPipe's face_landmarks_detector.tflite, b0 to b5 take SegFormer's .safetensors.",
        ) from error


def take_segformer(encoder: SegformerEncoder, content: bytes) -> None:
    """Take the stages of a SegFormer; its classes and its decoder belong to another task and are left.

    Raises ValueError where an array is missing or of another shape.
    """
    given = load(content)
    own = encoder.segformer.state_dict()
    named = {name: _found(given, name) for name in own}
    for name, tensor in named.items():
        if tensor.shape != own[name].shape:
            raise ValueError(f"{name} is of shape {tuple(tensor.shape)}, not {tuple(own[name].shape)}")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    encoder.segformer.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in named.items()})


def _found(given: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    for prefix in ("segformer.", ""):
        if prefix + name in given:
            return given[prefix + name]
    raise ValueError(f"{name} is missing")
