"""The aligners there are, by name. Importing this is cheap; making one loads what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backend.alignment.flowface.weights import default_weights, weights_available
from backend.errors import ErrorCode, UserError
from protocol.offers import AlignerInfo

if TYPE_CHECKING:
    from backend.alignment.landmarks.aligner import LandmarkAligner
    from backend.alignment.types import Aligner
    from backend.head_model.model import HeadModel

DEFAULT_ALIGNER = "mediapipe"
DENSE_SIGMA_SCALE = 2.0
"""The factor of the network's σ beside MediaPipe's points: least SSME of the face, of 1, 2, 4, on two dev sequences."""
SIGMA_SCALE = "sigma_scale"
"""Key of a weights file's metadata: what its σ is to be multiplied with, measured after training."""


@dataclass(frozen=True)
class RegisteredAligner:
    """An aligner by name: what clients are told of it, how it is made, and whether it can be used now."""

    info: AlignerInfo
    make: Callable[[HeadModel, Path | None], Aligner]
    available: Callable[[], bool]


ALIGNERS: dict[str, RegisteredAligner] = {}
"""By name, in the order in which they are offered."""


def register_aligner(
    info: AlignerInfo,
    make: Callable[[HeadModel, Path | None], Aligner],
    available: Callable[[], bool] = lambda: True,
) -> None:
    """Let jobs name an aligner. ``make`` gets the take's head and a weights file, None for the aligner's own."""
    ALIGNERS[info.name] = RegisteredAligner(info, make, available)


def available_aligners() -> tuple[AlignerInfo, ...]:
    """The aligners that a job may name now: the network's only where it has weights."""
    return tuple(aligner.info for aligner in ALIGNERS.values() if aligner.available())


def aligners_in_words() -> str:
    """All aligners with what each is good at and how fast it is, in one sentence for the command line's help."""
    infos = [aligner.info for aligner in ALIGNERS.values()]
    return "; ".join(f"{info.name}: {info.good_at} ({info.speed})" for info in infos) + "."


def takes_weights(name: str | None) -> bool:
    """True where there is an aligner of this name that is a network, and may be given other weights."""
    return name in ALIGNERS and ALIGNERS[name].info.takes_weights


def require_aligner(name: str) -> None:
    """Raises UserError ``unknown_aligner`` for a name that no aligner has."""
    if name not in ALIGNERS:
        known = "”, “".join(ALIGNERS)
        raise UserError(ErrorCode.UNKNOWN_ALIGNER, f"There is no aligner “{name[:60]}”; there are “{known}”.")


def find_aligner(name: str, head: HeadModel, weights: Path | None = None) -> Aligner:
    """The aligner called ``name`` for takes of ``head`` (as ``load_head`` gives it); what is dear to make is kept.

    ``weights`` are the network's, None for the default ones. Raises UserError: ``unknown_aligner``,
    ``weights_missing``, ``bad_weights``, ``unknown_weights``.
    """
    require_aligner(name)
    return ALIGNERS[name].make(head, weights)


@lru_cache
def _mediapipe() -> LandmarkAligner:
    from backend.alignment.landmarks.aligner import LandmarkAligner

    return LandmarkAligner()


def _combined(head: HeadModel, weights: Path | None) -> Aligner:
    from backend.alignment.combined import CombinedAligner

    return CombinedAligner(_flowface(head, weights), _mediapipe(), head, DENSE_SIGMA_SCALE)


def _flowface(head: HeadModel, weights: Path | None) -> Aligner:
    from backend.alignment.flowface.aligner import FlowFaceAligner, FlowFaceOptions
    from backend.alignment.flowface.weights import find_weights, shared_network, shared_runtime
    from backend.alignment.flowface.weights_file import read_metadata

    network = shared_network(weights)
    told = read_metadata(find_weights(weights)).get(SIGMA_SCALE, "1")
    try:
        scale = float(told)
    except ValueError:
        scale = float("nan")
    if not 0 < scale < 100:
        raise UserError(
            ErrorCode.BAD_WEIGHTS, f"The weights {weights or default_weights()} say σ is to be scaled by {told!r}."
        )
    return FlowFaceAligner(network, head, FlowFaceOptions(sigma_scale=scale), shared_runtime(network))


register_aligner(
    AlignerInfo(
        "mediapipe", "MediaPipe", "faces turned to the camera, lids and lips", "6 ms a picture on two CPU cores"
    ),
    lambda _head, _weights: _mediapipe(),
)
register_aligner(
    AlignerInfo(
        *("flowface", "FlowFace Network", "every point of the face, turned away or not, with its uncertainty"),
        *("94 ms a picture on two CPU cores", True),
    ),
    _flowface,
    weights_available,
)
register_aligner(
    AlignerInfo(
        *("combined", "Network + MediaPipe", "lids and lips as MediaPipe, all else as the network"),
        *("the time of both", True),
    ),
    _combined,
    weights_available,
)
