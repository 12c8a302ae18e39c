"""The character's performance tracked, and the weights beside Apple's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.benchmark import default_cache
from backend.evaluation.meaning.character import Character
from backend.evaluation.meaning.film import Look, film, truth_path
from backend.evaluation.metrics.curves import CurveAgreement, compare_curves
from backend.evaluation.scores import plain_scores
from backend.evaluation.seen.performance import perform
from backend.evaluation.seen.sheet import Extreme, clip_sheet
from backend.evaluation.trackers.flowface import FlowFace, open_clip
from backend.files import read_npz
from backend.footage import prefetch
from protocol.face_actions import ARKIT_ACTIONS

VERSION = 1
"""Counts up whenever the same look would give other pictures."""
NETWORK = "blendshape network"
ASKED = (
    *("browInnerUp", "browOuterUpLeft", "browOuterUpRight", "browDownLeft", "eyeBlinkLeft", "eyeWideLeft"),
    *("eyeWideRight", "jawOpen", "jawLeft", "jawRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft"),
    *("mouthFrownRight", "mouthPucker", "mouthLeft", "mouthRight"),
)
"""Those of brows, lids, jaw, smile, frown, pucker and mouthLeft/Right that move in the performance."""
_SHOWN = (
    *("jawOpen", "mouthSmileLeft", "mouthFunnel", "mouthPucker", "mouthFrownLeft", "browInnerUp", "browDownLeft"),
    *("eyeBlinkLeft", "mouthLeft", "mouthRight"),
)


def filmed(
    character: Character,
    look: Look,
    ict_path: Path,
    cache: Path | None,
    on_frame: Callable[[int, int], None] | None = None,
) -> Path:
    """The clip of a look, made where it is not in the cache yet. Raises UserError as ``film`` does."""
    clip = (cache or default_cache()) / f"facecap-{VERSION}" / f"{look.name}.mp4"
    if not (clip.is_file() and truth_path(clip).is_file()):
        film(character, look, ict_path, clip, on_frame)
    return clip


def tracker_record(tracker: FlowFace, character: Character, clip: Path, sheet: Path) -> dict[str, Any]:
    """Our tracker's weights beside Apple's; draws a contact sheet (PNG). Raises UserError ``no_face``."""
    performance, true = perform(tracker, clip), read_truth(clip)
    shown = []
    for name in _SHOWN:
        column = ARKIT_ACTIONS.index(name)
        at = int(true[:, column].argmax())
        shown.append(Extreme(name, at, f"Apple {true[at, column]:.2f}, ours {performance.weights[at, column]:.2f}"))
    clip_sheet(sheet, performance, clip, shown)
    seen = performance.mesh.tracked
    played = played_error(character, performance.weights[seen], true[seen])
    return _record(tracker.name, clip, compare_curves(performance.weights, true, seen), played)


def network_record(character: Character, clip: Path) -> dict[str, Any]:
    """The blendshape network's scores on MediaPipe's own mesh beside Apple's weights."""
    scores, true = plain_scores(frame.image for frame in prefetch(open_clip(clip))), read_truth(clip)
    seen = np.isfinite(scores[:, 0])
    played = played_error(character, scores[seen], true[seen])
    return _record(NETWORK, clip, compare_curves(np.nan_to_num(scores), true, seen), played)


def played_error(character: Character, weights: NDArray[np.floating[Any]], true: NDArray[np.floating[Any]]) -> float:
    """How the character plays weights (T,52) beside the true ones: mean error of its skin's vertices over all frames,
    as a share of how far the true performance moves them from the neutral; NaN where it does not move."""
    deltas = character.deltas[:, character.skin]
    off = np.linalg.norm(np.einsum("tk,kvc->tvc", np.asarray(weights, np.float64) - true, deltas), axis=2)
    moved = np.linalg.norm(np.einsum("tk,kvc->tvc", np.asarray(true, np.float64), deltas), axis=2)
    return float(off.mean() / moved.mean()) if moved.any() else float("nan")


def read_truth(clip: Path) -> NDArray[np.float32]:
    """Apple's weights (T,52) of a filmed clip. Raises UserError ``file_missing`` and ``bad_file``."""
    return read_npz(truth_path(clip), "true weights")["weights"]


def _record(tracker: str, clip: Path, found: CurveAgreement, played: float) -> dict[str, Any]:
    asked = [ARKIT_ACTIONS.index(name) for name in ASKED]
    good = (found.slope[asked] >= 0.7) & (found.slope[asked] <= 1.3)
    return {
        "tracker": tracker,
        "look": clip.stem,
        "mean_correlation": found.mean_correlation,
        "mean_error": found.mean_error,
        "played_error": played,
        "slopes_good": int(good.sum()),
        "slopes_asked": len(asked),
        "wrong": list(found.wrong),
        "correlation": found.correlation,
        "slope": found.slope,
        "error": found.error,
        "moves": found.moves,
    }
