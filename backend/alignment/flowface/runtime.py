"""What runs the alignment network at inference: torch, or OpenVINO where it is installed and says the same."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
import warnings
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.alignment.flowface.network import FlowFaceNetwork

Image = NDArray[np.uint8]
VARIABLE = "FLOWFACE_RUNTIME"
"""Environment variable: “torch” keeps to torch."""

AGREES = 0.05
"""Crop pixels by which another runtime may differ from torch anywhere on the atlas. OpenVINO in float32 differs by
0.0002 on the shipped network; in bfloat16 by 1.0, which is why it is not used."""

_log = logging.getLogger(__name__)


class Runtime(Protocol):
    """Runs one network; its weights must not change afterwards. Not safe to call from two threads at once."""

    name: str

    def __call__(self, pictures: Image) -> tuple[Tensor, Tensor]:
        """Flow (B,2,U,U) and log σ (B,1,U,U) as ``FlowFaceNetwork.maps`` tells, of RGB pictures (B,D,D,3)."""
        ...


class TorchRuntime:
    """The network itself, on its device; what does not depend on the picture is computed once."""

    name = "torch"

    def __init__(self, network: FlowFaceNetwork) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        with torch.inference_mode():
            self._atlas = network.atlas()

    def __call__(self, pictures: Image) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            images = torch.as_tensor(pictures, device=self._device).permute(0, 3, 1, 2).float() / 255
            return self._network.maps(images, self._atlas)


class OpenVinoRuntime:
    """The network traced by torch and compiled by OpenVINO for this processor, in float32; it needs no connection."""

    name = "openvino"

    def __init__(self, network: FlowFaceNetwork, threads: int | None = None) -> None:
        """Takes seconds. ``threads`` None: as many as torch uses. Raises ImportError where OpenVINO is not installed,
        RuntimeError where it cannot take the network over."""
        openvino = _openvino()
        side = network.config.image_size
        model = _converted(_Maps(network).eval(), torch.zeros(1, side, side, 3, dtype=torch.uint8))
        settings = {
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self._request: Any = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def __call__(self, pictures: Image) -> tuple[Tensor, Tensor]:
        maps = [self._request.infer([picture[None]])[0].copy() for picture in pictures]
        told = torch.from_numpy(np.concatenate(maps))
        return told[:, :2], told[:, 2:]


def _openvino() -> Any:
    """The package without its telemetry, which tells Intel of every import where its own package is to be found."""
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # as if it were not installed
    return importlib.import_module("openvino")


class _Maps(nn.Module):
    """The network with pictures as they are cut in and all its maps out, for the tracer."""

    def __init__(self, network: FlowFaceNetwork) -> None:
        super().__init__()
        self.network = network
        with torch.no_grad():
            self._atlas = network.atlas()

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.cat(self.network.maps(pictures.permute(0, 3, 1, 2).float() / 255, self._atlas), dim=1)


def _converted(module: nn.Module, example: Tensor) -> Any:
    """OpenVINO's model of a module. By its front end alone: ``openvino.convert_model`` would report its use."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer says of every size that it is fixed, which it is
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        front_end = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # must outlive the conversion, which does not hold it
        model = front_end.convert(front_end.load(decoder))
    model.reshape(list(example.shape))
    return model


def openvino_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def fastest(network: FlowFaceNetwork) -> Runtime:
    """OpenVINO for a network on the CPU where it is installed and agrees with torch within ``AGREES``, else torch."""
    plain = TorchRuntime(network)
    if next(network.parameters()).device.type != "cpu" or os.environ.get(VARIABLE, "").strip() == "torch":
        return plain
    try:
        compiled = OpenVinoRuntime(network)
    except ImportError:
        return plain
    except RuntimeError as error:
        _log.warning("OpenVINO cannot run the alignment network, torch does: %s", " ".join(str(error).split())[:200])
        return plain
    apart = disagreement(compiled, plain, network)
    if not apart <= AGREES:
        _log.warning("OpenVINO's answer differs from torch's by %.3f px, torch runs the alignment network", apart)
        return plain
    return compiled


def disagreement(one: Runtime, other: Runtime, network: FlowFaceNetwork) -> float:
    """The most, in crop pixels, by which two runtimes of ``network`` differ on a picture of smooth noise."""
    side = network.config.image_size
    coarse = np.random.default_rng(7).random((1, 3, side // 16, side // 16), dtype=np.float32)
    smooth = nn.functional.interpolate(torch.from_numpy(coarse), size=(side, side), mode="bicubic").clamp(0, 1)
    picture = (255 * smooth).permute(0, 2, 3, 1).byte().numpy()
    flow = [runtime(picture)[0] for runtime in (one, other)]
    return float((flow[0] - flow[1]).abs().max()) * side / network.config.uv_size
