"""Which aligners there are, by name. Importing this is cheap; making one loads what it needs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.alignment.flowface.weights import default_weights, weights_available
from backend.errors import UserError

if TYPE_CHECKING:
    from backend.alignment.mediapipe.aligner import MediaPipeAligner
    from backend.alignment.types import Aligner
    from backend.head_model.model import HeadModel

ALIGNERS = ("mediapipe", "flowface", "combined")
BY_NETWORK = ("flowface", "combined")
"""Those that need the network's weights."""
DEFAULT_ALIGNER = "mediapipe"
DENSE_SIGMA_SCALE = 2.0
"""What the network's σ is multiplied with beside MediaPipe's points: the least SSME of the face, of 1, 2 and 4, on two
dev sequences."""
SIGMA_SCALE = "sigma_scale"
"""Key of a weights file's metadata: what its σ is to be multiplied with, measured after training."""


def available_aligners() -> tuple[str, ...]:
    """The aligners that a job may name now: the network's only where it has weights."""
    return ALIGNERS if weights_available() else (DEFAULT_ALIGNER,)


def require_aligner(name: str) -> None:
    """Raises UserError ``unknown_aligner`` for a name that no aligner has."""
    if name not in ALIGNERS:
        known = "”, “".join(ALIGNERS)
        raise UserError("unknown_aligner", f"There is no aligner “{name[:60]}”; there are “{known}”.")


def find_aligner(name: str, head: HeadModel, weights: Path | None = None) -> Aligner:
    """The aligner called ``name`` for takes of ``head`` (as ``load_head`` gives it); what is dear to make is kept.

    ``weights`` are the network's, None for the default ones. Raises UserError: ``unknown_aligner``,
    ``weights_missing``, ``bad_weights``, ``unknown_weights``.
    """
    require_aligner(name)
    if name == "mediapipe":
        return _mediapipe()
    network = _flowface(head, weights)
    return network if name == "flowface" else _combined(network, head)


@lru_cache
def _mediapipe() -> MediaPipeAligner:
    from backend.alignment.mediapipe.aligner import MediaPipeAligner

    return MediaPipeAligner()


def _combined(network: Aligner, head: HeadModel) -> Aligner:
    from backend.alignment.combined import CombinedAligner

    return CombinedAligner(network, _mediapipe(), head, DENSE_SIGMA_SCALE)


def _flowface(head: HeadModel, weights: Path | None) -> Aligner:
    from backend.alignment.flowface.aligner import FlowFaceAligner, FlowFaceOptions
    from backend.alignment.flowface.weights import shared_network
    from backend.alignment.flowface.weights_file import read_metadata

    network = shared_network(weights)
    told = read_metadata(weights or default_weights()).get(SIGMA_SCALE, "1")
    try:
        scale = float(told)
    except ValueError:
        scale = float("nan")
    if not 0 < scale < 100:
        raise UserError("bad_weights", f"The weights {weights or default_weights()} say σ is to be scaled by {told!r}.")
    return FlowFaceAligner(network, head, FlowFaceOptions(sigma_scale=scale))
