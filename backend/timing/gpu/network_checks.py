"""The alignment network on a device against the same on the CPU: its answers, the aligner around it, its training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures
from torch import Tensor

import backend.demo
from backend.alignment.crop import Crop, cut
from backend.alignment.flowface.aligner import FlowFaceAligner
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.weights import find_weights
from backend.alignment.flowface.weights_file import load_weights
from backend.head_model.library import load_head
from backend.observations import FaceBox
from backend.timing.gpu.types import Difference
from backend.training.atlas_points import atlas_points
from backend.training.config import OptimiserConfig, TrainConfig
from backend.training.data.mixture import Batch
from backend.training.trainer import Trainer

PICTURE = Path(backend.demo.__file__).parent / "picture.jpg"
FACE = FaceBox(505.2, 110.5, 261.4, 263.2, 0.88, 0.074)
"""Where FlowFace's own detector sees the face in it; it runs on the CPU alone, and is no part of what is checked."""

EXACT = "single precision in another order: what any two of its runtimes have to agree to"
TF32 = "convolutions at a GPU's usual precision, TF32 (10 bits): a fifth of the points' own jitter"
HALF = "8 bits of precision through some sixty layers; a quarter of what the network errs by"
LOSS = "single precision, sums in another order"
GRADIENT = "single precision through all layers and back; scattered sums come in any order on a GPU"


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Within it, convolutions of single precision may or may not run in TF32; as it was afterwards."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@cache
def _picture() -> NDArray[np.uint8]:
    return np.asarray(Pictures.open(PICTURE).convert("RGB"))


def _shipped() -> FlowFaceNetwork:
    return load_weights(find_weights())


def _crops(size: int, count: int) -> NDArray[np.uint8]:
    """(count,size,size,3) the picture's face, each time framed a little differently."""
    (x, y), side = FACE.centre, 1.2 * max(FACE.width, FACE.height)
    crops = [Crop(x + 3 * i, y - 2 * i, side * (1 + 0.04 * i), size=size) for i in range(count)]
    return np.stack([cut(_picture(), crop) for crop in crops])


def alignment_differences(device: str, count: int) -> list[Difference]:
    """The shipped network's answers to ``count`` crops, in each precision that the device runs it in."""
    network = _shipped()
    size = network.config.image_size
    images = torch.from_numpy(_crops(size, count)).permute(0, 3, 1, 2).float() / 255
    nu = torch.from_numpy(atlas_points(load_head()).nu)
    own_mu, own_sigma = _answer(network, images, nu, None)
    network = network.to(device)
    differences = []
    for name, fast, half, tolerance, why in (
        ("single precision", False, False, 0.01, EXACT),
        ("as shipped", True, False, 0.05, TF32),
        ("half precision (bf16)", True, True, 0.5, HALF),
    ):
        with tf32(fast):
            mu, sigma = _answer(network, images.to(device), nu.to(device), torch.bfloat16 if half else None)
        away = (mu - own_mu).norm(dim=-1)
        differences.append(Difference(f"points, {name}, RMS", float(away.square().mean().sqrt()), tolerance, "px", why))
        worst = float((sigma / own_sigma).log().abs().quantile(0.99))
        differences.append(Difference(f"uncertainty, {name}, 99 of 100", worst, 2 * tolerance, "of its value", why))
    return differences


def _answer(network: FlowFaceNetwork, images: Tensor, nu: Tensor, half: torch.dtype | None) -> tuple[Tensor, Tensor]:
    """μ (B,P,2) crop pixels and σ (B,P), on the CPU."""
    with torch.inference_mode(), torch.autocast(images.device.type, half, enabled=half is not None):
        answer = network(images, nu)[-1]
    return answer.mu.float().cpu(), answer.sigma.float().cpu()


def inference_differences(device: str) -> list[Difference]:
    """The aligner as a job runs it, in plain torch: crop, network, a second look, the head's points in the picture."""
    found = []
    for name in ("cpu", device):
        aligner = FlowFaceAligner(_shipped().to(name), load_head())
        (alignment,) = aligner.align([_picture()], [FACE])
        if alignment is None:
            return [Difference(f"a face found on {name}", float("nan"), 0.0, "faces missed", EXACT)]
        found.append(alignment)
    own, other = (alignment.point_sets[0] for alignment in found)
    away = np.linalg.norm(own.mu - other.mu, axis=-1)
    box = max(abs(found[0].box.left - found[1].box.left), abs(found[0].box.width - found[1].box.width))
    return [
        Difference("points in the picture, RMS", float(np.sqrt(np.mean(away**2))), 0.05, "px", TF32),
        Difference("the next frame's box", float(box), 0.2, "px", TF32),
        Difference("other runtimes in use", float("openvino" in sys.modules), 0.0, "of torch alone", "what is checked"),
    ]


def training_differences(device: str, batch: int) -> list[Difference]:
    """One step of training of the shipped network from the same batch: loss, gradient, and what the step changed."""
    network = _shipped()
    config = TrainConfig("gpu", network=network.config, optimiser=OptimiserConfig(ema=0.99, matching=0.05))
    pictures = _batch(network, batch)
    own = _step(network, config, "cpu", pictures)
    with tf32(False):
        other = _step(network, config, device, pictures)
    half = TrainConfig("gpu", network=network.config, optimiser=OptimiserConfig(ema=0.99, precision="bf16"))
    plain = TrainConfig("gpu", network=network.config, optimiser=OptimiserConfig(ema=0.99))
    exact, coarse = _step(network, plain, "cpu", pictures), _step(network, half, device, pictures)
    moved = float((own.weights - other.weights).norm() / (own.weights - own.before).norm())
    return [
        Difference("loss", abs(own.loss / other.loss - 1), 1e-4, "of its value", LOSS),
        Difference("gradient", float((own.gradient - other.gradient).norm() / own.gradient.norm()), 1e-2,
                   "of its length", GRADIENT),
        Difference("change of the weights", moved, 0.2, "of its length",
                   "a first step of AdamW goes by the gradient's signs: gradients near 0 go either way"),
        Difference("loss in half precision (bf16)", abs(exact.loss / coarse.loss - 1), 0.05, "of its value", HALF),
    ]  # fmt: skip


class _Step:
    """What a step of training came from and led to, on the CPU: ``loss``, and all weights and gradients as vectors."""

    def __init__(self, trainer: Trainer, before: Tensor, loss: float) -> None:
        parameters = list(trainer.network.parameters())
        self.before, self.loss = before, loss
        self.weights = _vector([p.detach() for p in parameters])
        self.gradient = _vector([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])


def _vector(parts: list[Tensor]) -> Tensor:
    return torch.cat([part.float().cpu().flatten() for part in parts])


def _step(network: FlowFaceNetwork, config: TrainConfig, device: str, pictures: Batch) -> _Step:
    trainer = Trainer(config, load_head(), torch.device(device))
    trainer.start_from(network)
    before = _vector([p.detach() for p in trainer.network.parameters()])
    return _Step(trainer, before, float(trainer.train_on(pictures).loss))


def _batch(network: FlowFaceNetwork, count: int) -> Batch:
    """Crops whose truth is the network's own answer, off by two pixels as training's own are at first."""
    points = atlas_points(load_head())
    images = torch.from_numpy(_crops(network.config.image_size, count)).permute(0, 3, 1, 2).contiguous()
    mu, _ = _answer(network, images.float() / 255, torch.from_numpy(points.nu), None)
    mu = mu + 2 * torch.randn(mu.shape, generator=torch.Generator().manual_seed(5))
    weight = torch.from_numpy(points.weight).expand(count, -1).contiguous()
    return Batch(images, mu, weight, torch.ones(weight.shape, dtype=torch.bool))
