"""Marks of a clip's skin, followed on the footage itself by OpenCV's Lucas-Kanade tracker: no head, no network.

Only where they start, MediaPipe's points say what is skin and away from landmarks. A mark counts as far as it returns
to where it began when it is followed backwards, and looks as it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from backend.evaluation.marks.area import MARK_REGIONS, MarkArea
from backend.evaluation.real_data import SHORTEST_STILL, STILL_SPEED, outer_eye_distance
from backend.evaluation.store import code_digest
from backend.evaluation.trackers.flowface import clip_key, observe_clip, open_clip
from backend.files import read_npz, write_npz
from backend.head_model.library import load_head
from backend.observations import ViewAlignment

F64 = NDArray[np.float64]
Grey = NDArray[np.uint8]

MADE_BY = (
    *(f"evaluation/{name}" for name in ("marks/follow.py", "marks/area.py", "trackers/mediapipe_mesh.py")),
    *("alignment/", "footage/", "head_model/"),
)
"""Parts of the backend that marks depend on."""

KEY_EVERY = 30
"""Frames from one start of marks to the next."""
HORIZONS = (5, 15, 30, 60)
"""Frames after which a mark must return; it counts up to the last from which it did."""
LONG = 15
"""Frames that a mark must last at least."""
MOST = 12
"""Marks of a region that start in one frame, the strongest."""
APART = 0.06
"""Inter-ocular distances between marks at least."""
QUALITY = 0.02
"""Of the strongest corner's: weaker ones are noise of the codec."""
WINDOW = 0.12
"""Inter-ocular distances that the tracker's window is wide."""
WINDOW_PIXELS = (11, 31)
RETURN = 0.5
"""% of the inter-ocular distance within which a mark must return: half of what a fitted head may be off."""
ALIKE = 0.8
"""Correlation of what the window shows there and where it began."""
SPAN = 3
"""Frames to both sides over which speed is taken: over fewer the tracker's own noise is taken for motion."""


@dataclass(frozen=True, eq=False)
class FollowedMarks:
    """K marks over T frames of a clip.

    ``start (K,)`` is the frame in which each begins, ``seen (K,T,2)`` its image positions in pixels, NaN where it was
    not followed or not trusted, ``region (K,)`` the index in ``MARK_REGIONS``, ``returned (K,)`` by how much it missed
    its beginning coming back from its last horizon, pixels. ``unit ()`` is the clip's inter-ocular distance, pixels.
    ``still (R,2)`` are first and last frames of stretches in which the marks hardly move, ``grid (N,2)`` places on the
    skin in the middle frame of the stretch ``grid_still (N,)``.
    """

    start: NDArray[np.int64]
    seen: F64
    region: NDArray[np.int64]
    returned: F64
    unit: F64
    still: NDArray[np.int64]
    grid: F64
    grid_still: NDArray[np.int64]

    @property
    def last(self) -> NDArray[np.int64]:
        """(K,) the last frame of each."""
        known = np.isfinite(self.seen[..., 0])
        return np.asarray(known.shape[1] - 1 - known[:, ::-1].argmax(axis=1), np.int64)


def follow_clip(clip: Path, cache: Path) -> FollowedMarks:
    """A clip's marks; read from ``cache`` where they are there. Raises UserError as ``observe_clip`` does."""
    kept = cache / f"{clip_key(clip)}-marks-{code_digest(MADE_BY)}.npz"
    if kept.is_file():
        return FollowedMarks(**read_npz(kept, "marks"))
    observed = observe_clip(clip, "mediapipe", cache)
    found = follow([cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY) for frame in open_clip(clip)], observed)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_npz(kept, {item.name: np.asarray(getattr(found, item.name)) for item in fields(found)})
    return found


def follow(pictures: Sequence[Grey], observed: ViewAlignment) -> FollowedMarks:
    """Marks in grey ``pictures`` (T,H,W), where MediaPipe ``observed`` the face."""
    unit = outer_eye_distance(observed)
    lucas_kanade = LucasKanade(pictures, unit)
    area, size = MarkArea.of(load_head("open")), pictures[0].shape[::-1]

    def labels(frame: int) -> Grey:
        points = observed.mu[frame].astype(np.float64)
        return area.drawn(points, (int(size[0]), int(size[1])), unit)

    shown = np.flatnonzero(observed.tells_pose)
    starts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    seen = [np.zeros((0, len(pictures), 2))]
    regions: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    returned = [np.zeros(0)]
    for first in _key_frames(shown, len(pictures)):
        skin = labels(first)
        corners = _corners(pictures[first], skin, unit)
        if not len(corners):
            continue
        there, missed = lucas_kanade.from_frame(first, corners)
        long = np.isfinite(missed)
        starts.append(np.full(long.sum(), first, np.int64))
        seen.append(there[long])
        regions.append(_at(skin, corners[long] - 0.5) - 1)
        returned.append(missed[long])
    marks = np.concatenate(seen)
    still = still_stretches(marks, unit, observed.frame_rate)
    grids = [_grid(labels(int(a + b) // 2), unit) for a, b in still]
    return FollowedMarks(
        np.concatenate(starts),
        marks,
        np.concatenate(regions),
        np.concatenate(returned),
        np.array(unit),
        still,
        np.concatenate([*grids, np.zeros((0, 2))]),
        np.concatenate([np.full(len(grid), n) for n, grid in enumerate(grids)] + [np.zeros(0)]).astype(np.int64),
    )


def _key_frames(shown: NDArray[np.intp], count: int) -> list[int]:
    """Of the frames that show a face, the first at or after every ``KEY_EVERY``th, as far as marks may last from it."""
    wanted = np.searchsorted(shown, np.arange(0, count - LONG, KEY_EVERY))
    return [int(shown[n]) for n in np.unique(wanted[wanted < len(shown)])]


def _corners(picture: Grey, skin: Grey, unit: float) -> F64:
    """(K,2) pixels of corners of texture on the skin."""
    block = max(3, round(WINDOW * unit / 2))
    mask = (skin > 0).astype(np.uint8)
    found = cv2.goodFeaturesToTrack(picture, 0, QUALITY, APART * unit, mask=mask, blockSize=block)
    if found is None:
        return np.zeros((0, 2))
    places = found[:, 0].astype(np.float64)  # strongest first
    region = _at(skin, places)
    chosen = [np.flatnonzero(region == which)[:MOST] for which in np.unique(region)]
    return places[np.sort(np.concatenate(chosen))] + 0.5


def _at(skin: Grey, places: F64) -> NDArray[np.int64]:
    """The labels (K,) at places (K,2) counted from the first pixel's centre."""
    columns, rows = places.round().astype(int).T
    return skin[rows, columns].astype(np.int64)


def _grid(skin: Grey, unit: float) -> F64:
    step = max(1, round(APART * unit))
    rows, columns = np.nonzero(skin[::step, ::step])
    return np.stack([columns, rows], axis=1) * step + 0.5


class LucasKanade:
    """OpenCV's tracker from frame to frame of grey pictures of a face ``unit`` pixels between the outer eye corners."""

    def __init__(self, pictures: Sequence[Grey], unit: float) -> None:
        self._pictures, self._unit = pictures, unit
        side = int(np.clip(round(WINDOW * unit), *WINDOW_PIXELS)) | 1
        self._window = (side, side)

    def from_frame(self, first: int, points: F64) -> tuple[F64, F64]:
        """(K,T,2) where ``points (K,2)`` of a frame are later, NaN from where they are not trusted, and how much each
        missed its beginning coming back, pixels (K,), NaN of those that do not last."""
        count = len(self._pictures)
        there = np.full((len(points), count, 2), np.nan)
        there[:, first] = points
        reach = min(first + HORIZONS[-1], count - 1)
        for frame in range(first, reach):
            there[:, frame + 1] = self._step(frame, frame + 1, there[:, frame])
        missed, last = np.full(len(points), np.nan), np.full(len(points), -1)
        good = np.ones(len(points), bool)
        for horizon in HORIZONS:
            if first + horizon > reach:
                break
            back = there[:, first + horizon]
            for frame in range(first + horizon, first, -1):
                back = self._step(frame, frame - 1, np.where(good[:, None], back, np.nan))
            away = np.linalg.norm(back - points, axis=1)
            good &= (away <= RETURN / 100 * self._unit) & (self._alike(first, first + horizon, there) >= ALIKE)
            if horizon >= LONG:
                missed[good], last[good] = away[good], first + horizon
        there[np.arange(count) > last[:, None]] = np.nan
        return there, missed

    def _step(self, frame: int, to: int, points: F64) -> F64:
        """(K,2) where points of a frame are in the next; NaN where the tracker loses them."""
        moved = np.full(points.shape, np.nan)
        known = np.isfinite(points).all(axis=1)
        if known.any():
            given = (points[known, None] - 0.5).astype(np.float32)  # OpenCV counts from the centre of the first pixel
            found, status, _ = cv2.calcOpticalFlowPyrLK(
                self._pictures[frame],
                self._pictures[to],
                given,
                np.empty_like(given),
                winSize=self._window,
                maxLevel=3,
                criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 0.005),
            )
            moved[known] = np.where(status > 0, found[:, 0].astype(np.float64) + 0.5, np.nan)
        return moved

    def _alike(self, first: int, later: int, there: F64) -> F64:
        """(K,) correlation of the window about each mark in two frames; -1 where it is lost."""
        told = np.full(len(there), -1.0)
        for number in np.flatnonzero(np.isfinite(there[:, later, 0])):
            one, two = (
                cv2.getRectSubPix(self._pictures[frame], self._window, (there[number, frame] - 0.5).astype(np.float32))
                for frame in (first, later)
            )
            a, b = (patch.astype(np.float64) - patch.mean() for patch in (one, two))
            told[number] = (a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-9)
        return told


def still_stretches(seen: F64, unit: float, frame_rate: float) -> NDArray[np.int64]:
    """(R,2) first and last frames of the stretches in which marks ``seen (K,T,2)`` hardly move.

    At least ``SHORTEST_STILL`` frames in which the fastest tenth of the marks is slower than ``STILL_SPEED``.
    """
    frames = np.arange(seen.shape[1])
    early, late = np.maximum(frames - SPAN, 0), np.minimum(frames + SPAN, len(frames) - 1)
    speed = np.linalg.norm(seen[:, late] - seen[:, early], axis=2) * frame_rate / np.maximum(late - early, 1) / unit
    still = np.zeros(len(frames), bool)
    for frame in frames:
        known = speed[:, frame][np.isfinite(speed[:, frame])]
        still[frame] = len(known) > 0 and np.percentile(known, 90) < STILL_SPEED
    numbered, count = label(still)
    runs = [np.flatnonzero(numbered == n + 1) for n in range(count)]
    return np.array([(run[0], run[-1]) for run in runs if len(run) >= SHORTEST_STILL], np.int64).reshape(-1, 2)


def region_names(followed: FollowedMarks) -> list[str]:
    """(K,) each mark's region by name."""
    return [MARK_REGIONS[number] for number in followed.region]
