"""The trackers that are built in, by the names that the tables' rows have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from backend.alignment.flowface.weights import find_weights
from backend.alignment.registry import ALIGNERS, takes_weights
from backend.errors import ErrorCode, UserError
from backend.evaluation.store import code_digest
from backend.evaluation.trackers.flowface import SKIN_IN_TIME, FlowFace
from backend.evaluation.trackers.mediapipe_mesh import SMOOTHING_SIGMA, MediaPipeMesh
from backend.evaluation.trackers.results_folder import ResultsFolder
from backend.evaluation.trackers.types import Tracker

ALIGNED_BY = {"flowface" if name == "flowface" else f"flowface-{name}": name for name in ALIGNERS}
"""Our tracker's names by the aligner whose points it fits."""
EVEN_SIGMA = "-even-sigma"
"""The ending of the same trackers' names where every point is believed alike."""
IN_TIME = tuple(f"-{way}" for way in SKIN_IN_TIME)
"""The endings of the same trackers' names where their skin is matched in time: both ways, or one alone."""
BASELINE, SMOOTH_BASELINE = "mediapipe-mesh", "mediapipe-mesh+gaussian"
BASELINES = (BASELINE, SMOOTH_BASELINE)


def plain_name(name: str) -> str:
    """The name of one of our trackers without what it does otherwise than the plain one."""
    ending = next((ending for ending in (EVEN_SIGMA, *IN_TIME) if name.endswith(ending)), "")
    return name.removesuffix(ending)


def make_trackers(
    names: Sequence[str],
    results: Mapping[str, Path],
    weights: Path | None,
    cache: Path,
    on_frame: Callable[[int, int], None] | None = None,
) -> list[Tracker]:
    """The trackers of ``names``, then those whose ``results`` lie in folders; see ``EvaluationOptions``.

    Raises UserError ``unknown_tracker``, ``weights_missing`` or ``results_missing``.
    """
    ours = partial(_ours, weights=weights, cache=cache, on_frame=on_frame)
    makers: dict[str, Callable[[], Tracker]] = {
        **{name: partial(ours, aligner) for name, aligner in ALIGNED_BY.items()},
        **{name + EVEN_SIGMA: partial(ours, aligner, even_sigma=True) for name, aligner in ALIGNED_BY.items()},
        **{
            name + ending: partial(ours, aligner, skin=ending[1:])
            for name, aligner in ALIGNED_BY.items()
            for ending in IN_TIME
        },
        BASELINE: MediaPipeMesh,
        SMOOTH_BASELINE: lambda: MediaPipeMesh(SMOOTHING_SIGMA),
    }
    unknown = [name for name in names if name not in makers]
    if unknown:
        raise UserError(
            ErrorCode.UNKNOWN_TRACKER, f"There is no tracker “{unknown[0]}”; there are {', '.join(makers)}."
        )
    taken = [name for name in results if name in makers]
    if taken:
        raise UserError(
            ErrorCode.NAME_TAKEN, f"“{taken[0]}” is the name of a built-in tracker.", "Call the results otherwise."
        )
    own = [makers[name]() for name in dict.fromkeys(names)]
    return own + [ResultsFolder(name, folder) for name, folder in results.items()]


def _ours(
    aligner: str,
    weights: Path | None,
    cache: Path,
    on_frame: Callable[[int, int], None] | None,
    even_sigma: bool = False,
    skin: str = "",
) -> Tracker:
    if takes_weights(aligner):
        find_weights(weights)  # to say so now, and not after an hour
    kept = cache / f"alignments-{code_digest()}"
    return FlowFace(kept, aligner=aligner, on_frame=on_frame, weights=weights, even_sigma=even_sigma, skin=skin)
