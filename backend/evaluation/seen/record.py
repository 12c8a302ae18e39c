"""What is kept of a clip or photograph that was looked at: curves, and what the second detector saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.evaluation.metrics.curves import MOVES, NOT_GAZE, curve_figures
from backend.evaluation.scores import plain_scores
from backend.evaluation.seen.measures import GROUPS, MEASURES, Agreement, agree
from backend.evaluation.seen.performance import Performance, perform
from backend.evaluation.seen.sheet import Extreme, clip_sheet
from backend.evaluation.seen.watch import Sight, Watched, Watcher, watch
from backend.evaluation.trackers.flowface import FlowFace, open_clip
from backend.footage import prefetch

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]
Record = dict[str, Any]

WATCHED = 90
"""Frames of a clip that are drawn and watched, evenly spread."""
SIDE = 640
"""Pixels of the longer side of what is drawn and watched: the networks see crops of 192² and 256²."""
_EXTREMES: tuple[tuple[str, str, int], ...] = (
    ("mouth open", "mouth opening", 1),
    ("mouth wide", "mouth width", 1),
    ("mouth narrow", "mouth width", -1),
    ("corners up", "corners", 1),
    ("corners down", "corners", -1),
    ("lids closed", "lids", -1),
    ("lids wide", "lids", 1),
    ("brows up", "inner brows", 1),
    ("brows down", "inner brows", -1),
    ("jaw aside", "jaw aside", 1),
)
"""The frames that a contact sheet shows: a name, the group of measures, and which end of it in the footage."""


def clip_record(
    tracker: FlowFace,
    clip: Path,
    sheet: Path,
    on_frame: Callable[[int, int], None] | None = None,
) -> Record:
    """Everything about a clip; draws its contact sheet to ``sheet`` (PNG)."""
    head: Record = {"tracker": tracker.name, "clip": clip.stem, "lost": True}
    performance = _performed(tracker, clip)
    if performance is None:
        return head
    tracked = performance.mesh.tracked
    seen = np.flatnonzero(tracked)
    chosen = seen[np.unique(np.linspace(0, len(seen) - 1, min(WATCHED, len(seen))).round().astype(int))]
    small = performance.no_larger_than(SIDE)
    with_pictures = _pictures(clip, chosen, small.mesh.image_size)
    watcher = Watcher()
    heard = None if on_frame is None else lambda done: on_frame(done, len(chosen))
    sight = watch(watcher, small, with_pictures, heard)
    watcher.close()
    clip_sheet(sheet, performance, clip, find_extremes(sight))
    network = plain_scores(frame.image for frame in prefetch(open_clip(clip)))
    return {
        **head,
        "lost": False,
        "frames": len(tracked),
        "curves": asdict(curve_figures(performance.weights, tracked)),
        "network_curves": asdict(curve_figures(network, np.isfinite(network[:, 0]))),
        **seen_figures(sight),
        "watched": {
            "frames": sight.frames,
            "head": sight.head.measures.round(3),
            "footage": sight.footage.measures.round(3),
        },
    }


def photo_record(tracker: FlowFace, photo: Path) -> Record:
    """A photograph's weights, measures and scores, to be put together by ``photos_figures``."""
    head: Record = {"tracker": tracker.name, "photo": f"{photo.parent.name}/{photo.name}", "lost": True}
    performance = _performed(tracker, photo)
    if performance is None:
        return head
    small = performance.no_larger_than(SIDE)
    watcher = Watcher()
    sight = watch(watcher, small, _pictures(photo, np.array([0]), small.mesh.image_size))
    watcher.close()
    return {
        **head,
        "lost": False,
        "weights": performance.weights[0].round(4),
        "head": {"measures": sight.head.measures[0], "scores": sight.head.scores[0].round(4)},
        "footage": {"measures": sight.footage.measures[0], "scores": sight.footage.scores[0].round(4)},
    }


def photos_figures(records: Sequence[Mapping[str, Any]]) -> Record:
    """The figures of all photographs of a tracker as if they were the frames of one clip; jitter has no meaning."""
    seen = [record for record in records if not record["lost"]]
    if not seen:
        return {"lost": True}
    weights = np.array([record["weights"] for record in seen], np.float64)
    of_head, of_footage = (
        Watched(*(_numbers([record[side][what] for record in seen]) for what in ("measures", "scores")))
        for side in ("head", "footage")
    )
    network = np.nan_to_num(of_footage.scores)
    return {
        "lost": False,
        "clip": "photographs",
        "frames": len(seen),
        "curves": asdict(curve_figures(weights)) | {"jitter": None},
        "network_curves": asdict(curve_figures(network, np.isfinite(of_footage.scores[:, 0]))) | {"jitter": None},
        **seen_figures(Sight(np.arange(len(seen)), of_head, of_footage)),
    }


def seen_figures(sight: Sight) -> Record:
    """``measures`` by name and ``scores``: how the head's agree with the footage's."""
    of_head, of_footage = sight.head, sight.footage
    known = np.isfinite(of_head.measures[:, 0]) & np.isfinite(of_footage.measures[:, 0])
    measures = agree(of_head.measures[known], of_footage.measures[known])
    scored = np.isfinite(of_head.scores[:, 0]) & np.isfinite(of_footage.scores[:, 0])
    scores = agree(of_head.scores[scored], of_footage.scores[scored], MOVES)
    return {
        "seen_frames": int(known.sum()),
        "measures": {name: _figures(measures, k) for k, name in enumerate(MEASURES)},
        "scores": {
            "correlation": _mean(scores.correlation[NOT_GAZE]),
            "slope": _mean(scores.slope[NOT_GAZE]),
            "error": _mean(scores.error[NOT_GAZE]),
            "error_moving": _mean(scores.error_moving[NOT_GAZE]),
        },
    }


def find_extremes(sight: Sight) -> list[Extreme]:
    """The frames at which the footage's measures have their ends, with what was seen there on either side."""
    found: list[Extreme] = []
    for words, group, sign in _EXTREMES:
        columns = [MEASURES.index(name) for name in GROUPS[group]]
        footage, head = (w.measures[:, columns].mean(axis=1) for w in (sight.footage, sight.head))
        if np.isfinite(footage).any():
            at = int(np.nanargmax(sign * footage))
            told = f"footage {footage[at]:.1f}, head {head[at]:.1f}"
            found.append(Extreme(words, int(sight.frames[at]), told))
    return found


def _performed(tracker: FlowFace, clip: Path) -> Performance | None:
    try:
        return perform(tracker, clip)
    except UserError as error:
        if error.code == ErrorCode.NO_FACE:
            return None
        raise


def _pictures(clip: Path, chosen: NDArray[np.integer[Any]], size: tuple[int, int]) -> Iterator[tuple[int, Image]]:
    """The chosen frames of a clip, in order, at a size."""
    wanted = {int(frame) for frame in chosen}
    for index, frame in enumerate(open_clip(clip)):
        if index in wanted:
            picture = frame.image
            if picture.shape[1::-1] != size:
                picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
            yield index, picture


def _figures(agreement: Agreement, k: int) -> dict[str, float]:
    return {name: float(values[k]) for name, values in vars(agreement).items()}


def _numbers(rows: Sequence[Sequence[float | None]]) -> F64:
    return np.array([[np.nan if value is None else value for value in row] for row in rows], np.float64)


def _mean(values: F64) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
