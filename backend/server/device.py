"""The choice of a device for a worker process: made in its environment, before it loads torch."""

from __future__ import annotations

import os

from backend.errors import ErrorCode, UserError

AUTO, CPU, CUDA = "auto", "cpu", "cuda"
DEVICES = (AUTO, CPU, CUDA)
VARIABLE = "FLOWFACE_DEVICE"


def environment(device: str) -> dict[str, str]:
    """Variables of a worker that is to use this device: without a GPU in sight, all that it loads takes the CPU.

    Raises:
        UserError: ``unknown_device``.
    """
    if device not in DEVICES:
        raise UserError(
            ErrorCode.UNKNOWN_DEVICE, f"There is no device “{device[:20]}”.", f"Choose one of {', '.join(DEVICES)}."
        )
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == CPU else {}
    return {VARIABLE: device, **hidden}


def require_device() -> None:
    """Raise UserError (``no_cuda``) where this worker is to use a GPU and cannot."""
    if os.environ.get(VARIABLE, AUTO) != CUDA:
        return
    import torch

    if not torch.cuda.is_available():
        why = "this torch is one for the CPU" if torch.version.cuda is None else "its driver or the card is missing"
        raise UserError(
            ErrorCode.NO_CUDA,
            f"No CUDA GPU can be used here: {why}.",
            "Choose the device “auto” or “cpu”, or install NVIDIA's driver and torch with CUDA.",
        )
