"""Times one network, or MediaPipe's aligner, on one kind of input."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from backend.alignment.flowface.config import NetworkConfig
from backend.alignment.flowface.network import FlowFaceNetwork
from backend.alignment.flowface.runtime import OpenVinoRuntime

Precision = Literal["float32", "bfloat16"]
RuntimeName = Literal["torch", "openvino"]
POINTS = 3266
"""As many as the aligner asks for: 1,200 of the head and the 2,066 of the open head's face that crops are laid by."""
LEAST_RUNS = 3


@dataclass(frozen=True)
class Case:
    """One thing to time. ``device`` is “cpu” or “cuda”; ``name`` is the encoder's, or the weights'."""

    name: str
    config: NetworkConfig
    batch: int
    device: str
    precision: Precision = "float32"
    compiled: bool = False
    runtime: RuntimeName = "torch"

    @property
    def told(self) -> dict[str, Any]:
        """The case as plain values."""
        told: dict[str, Any] = {"name": self.name, "encoder": self.config.encoder, "size": self.config.image_size}
        told |= {"batch": self.batch, "device": self.device}
        return told | {"precision": self.precision, "compiled": self.compiled, "runtime": self.runtime}


def time_network(case: Case, seconds: float, network: FlowFaceNetwork | None = None) -> dict[str, Any]:
    """Milliseconds per image of the whole network, images on the device to positions on the device.

    The median over as many runs as fit into ``seconds``, after a warm-up. ``network`` None is one with random weights.
    Raises RuntimeError as torch does where the device's memory does not suffice.
    """
    device = torch.device(case.device)
    network = (network or FlowFaceNetwork(case.config)).to(device).eval()
    side = case.config.image_size
    nu = torch.rand(POINTS, 2, device=device)
    run = _runner(case, network, torch.rand(case.batch, 3, side, side, device=device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()

    def once() -> None:
        network.prediction(*run(), nu)
        if device.type == "cuda":
            torch.cuda.synchronize()

    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=case.precision == "bfloat16"):
        began = time.perf_counter()
        once()
        first = time.perf_counter() - began
        if first < seconds:
            once()
        took = list(_runs(once, seconds))
    peak = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None
    return {
        **case.told,
        "ms_per_image": 1000 * float(np.median(took)) / case.batch,
        "ms_first": 1000 * first,
        "runs": len(took),
        "million_parameters": sum(p.numel() for p in network.parameters()) / 1e6,
        "cuda_peak_mb": peak,
    }


def _runner(case: Case, network: FlowFaceNetwork, images: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    """What tells the network's maps of ``images``, made ready; what no picture changes is computed already."""
    if case.runtime == "openvino":
        compiled, pictures = OpenVinoRuntime(network), (255 * images).byte().permute(0, 2, 3, 1).numpy()
        return lambda: compiled(pictures)
    with torch.inference_mode():
        atlas = network.atlas()
    maps: Callable[..., tuple[Tensor, Tensor]] = torch.compile(network.maps) if case.compiled else network.maps
    return lambda: maps(images, atlas)


def time_mediapipe(seconds: float) -> dict[str, Any]:
    """Milliseconds per image of MediaPipe's aligner on a face that is followed, and of its detector."""
    from skimage.data import astronaut

    from backend.alignment.landmarks.aligner import LandmarkAligner
    from backend.alignment.landmarks.face_finder import BlazeFaceFinder
    from backend.alignment.landmarks.face_mesh import SIZE

    image: NDArray[np.uint8] = astronaut()
    finder, aligner = BlazeFaceFinder(), LandmarkAligner()
    try:
        (first,) = aligner.align([image], finder.find(image)[:1])
        box = first.box if first is not None else None
        detect = list(_runs(lambda: finder.find(image), seconds / 2))
        align = list(_runs(lambda: aligner.align([image], [box]), seconds / 2))
    finally:
        aligner.close()
        finder.close()
    return {
        "name": "mediapipe",
        "size": SIZE,
        "batch": 1,
        "device": "cpu",
        "precision": "float32",
        "ms_per_image": 1000 * float(np.median(align)),
        "ms_detector": 1000 * float(np.median(detect)),
        "runs": len(align),
    }


def _runs(once: Callable[[], object], seconds: float) -> Iterator[float]:
    """The duration of each run, for at least ``LEAST_RUNS`` and until ``seconds`` are over."""
    end = time.perf_counter() + seconds
    done = 0
    while done < LEAST_RUNS or time.perf_counter() < end:
        began = time.perf_counter()
        once()
        yield time.perf_counter() - began
        done += 1


@contextmanager
def released(device: str) -> Iterator[None]:
    """Gives the device's memory back after a case, so that the next one's peak is its own."""
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.empty_cache()
