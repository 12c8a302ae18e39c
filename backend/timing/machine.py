"""The machine and the commit that a benchmark ran on."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

from backend.terminal.checkout import git


def machine() -> dict[str, Any]:
    """The machine and the code that a measurement was made with."""
    import torch

    return {
        "commit": git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(git("status", "--porcelain")),
        "cpu": platform.processor() or platform.machine(),
        "cpu_count": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "load_before": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "versions": {"python": platform.python_version(), "torch": metadata.version("torch")},
    }
