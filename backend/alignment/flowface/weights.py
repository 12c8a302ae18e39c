"""The sources of the alignment network's weights, and one network for all who ask for the same ones."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.alignment.flowface.adapted import named_weights
from backend.errors import ErrorCode, UserError
from backend.memory import may_use_graphics_card
from backend.reading import is_file, open_named, require_file, shown

if TYPE_CHECKING:
    import torch

    from backend.alignment.flowface.network import FlowFaceNetwork
    from backend.alignment.flowface.runtime import Runtime

SHIPPED = Path(__file__).resolve().parent.parent / "weights" / "flowface.safetensors"
VARIABLE = "FLOWFACE_WEIGHTS"
"""Environment variable that names other weights: a file, or the name of adapted ones."""


def default_weights() -> Path:
    """The weights to use where nobody names others: ``FLOWFACE_WEIGHTS``, or those that come with FlowFace."""
    named = os.environ.get(VARIABLE, "").strip()
    if not named:
        return SHIPPED
    path = Path(named)
    return path if is_file(path) else named_weights(path) or path


def weights_available() -> bool:
    """True where there are weights; says nothing of their quality."""
    return is_file(default_weights())


def find_weights(path: Path | None = None) -> Path:
    """``path``, which may be the name of adapted weights, or the default.

    Raises UserError ``weights_missing`` where it is neither.
    """
    wanted = path or default_weights()
    if is_file(wanted):
        require_file(wanted, "weights")
        return wanted
    if (named := named_weights(wanted)) is not None:
        return named
    if os.path.lexists(wanted) and path is not None:
        require_file(wanted, "weights")
    if path is None and wanted == SHIPPED:
        raise UserError(
            ErrorCode.WEIGHTS_MISSING,
            f"The aligner “flowface” has no weights: {SHIPPED} does not exist.",
            f"Name a .safetensors file with --weights or {VARIABLE}, train one with `flowface train`, "
            "or use --aligner mediapipe.",
        )
    raise UserError(
        ErrorCode.WEIGHTS_MISSING,
        f"There are no weights at {shown(wanted)}.",
        "Give a .safetensors file that `flowface train` wrote, or a name that `flowface adapt --list` shows, as "
        f"--weights or in {VARIABLE}.",
    )


def weights_digest(path: Path | None = None) -> str:
    """First 12 hex digits of the weights' SHA-256. Raises UserError ``weights_missing``."""
    found = find_weights(path)
    state = found.stat()
    return _digest(found.resolve(), state.st_mtime_ns, state.st_size)


def shared_network(path: Path | None = None, device: str = "auto") -> FlowFaceNetwork:
    """The network of a weights file, in evaluation mode on ``device``, read once for all who ask.

    ``device`` is torch's name, or “auto”: CUDA when there is one, and memory for it. Raises UserError:
    ``weights_missing``, and what ``load_weights`` raises for a file that holds something else.
    """
    import torch

    found = find_weights(path)
    state = found.stat()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() and may_use_graphics_card() else "cpu"
    return _network(found.resolve(), state.st_mtime_ns, state.st_size, torch.device(device))


@lru_cache(maxsize=1)
def shared_runtime(network: FlowFaceNetwork) -> Runtime:
    """What runs a network of ``shared_network`` fastest here, made once; its weights must not change any more."""
    from backend.alignment.flowface.runtime import fastest

    return fastest(network)


@lru_cache(maxsize=4)
def _digest(path: Path, modified_ns: int, size: int) -> str:  # noqa: ARG001 - the cache's key
    with open_named(path, "weights") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


@lru_cache(maxsize=1)
def _network(path: Path, modified_ns: int, size: int, device: torch.device) -> FlowFaceNetwork:  # noqa: ARG001
    from backend.alignment.flowface.weights_file import load_weights

    return load_weights(path).to(device).eval()
