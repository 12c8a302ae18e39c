"""The frames that a network is adapted on: crops that follow the face, MediaPipe's landmarks in them, and what is kept
back to judge the outcome by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.crop import Crop, cut
from backend.alignment.finder import face_finder
from backend.alignment.flowface.framing import crop_of
from backend.alignment.registry import find_aligner
from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage import Footage, open_footage, prefetch
from backend.head_model.builder.landmarks import IBUG68_FROM_MEDIAPIPE
from backend.head_model.library import load_head
from backend.observations import FaceBox, ViewAlignment

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

FACIAL = np.array(IBUG68_FROM_MEDIAPIPE[17:])
"""Of MediaPipe's 478 points the 51 on brows, nose, eyes and lips (iBUG's, the jaw left out, along which points slide):
K of eq. 9."""
OUTER_CORNERS = (33, 263)
"""Of MediaPipe's points, the outer eye corners; their distance is the inter-ocular distance."""
SIDE = 384
"""Pixels along a side of the crops in which skin is compared and marks are followed."""
ROUND = 100
"""Frames of which one whole stretch, the last fifth, is held out."""
HELD_OUT = 0.2
MOST = 300
"""Frames at most, of all clips together; of longer footage, parts of ``ROUND`` frames spread over it."""
LEAST = 30
"""Frames with a face at least: what is held out of fewer is too short a stretch to follow marks in."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is done in words, how much of it is done, and of how much."""
ShouldCancel = Callable[[], bool]


@dataclass(frozen=True, eq=False)
class Frames:
    """T frames with a face, clip after clip and each in order.

    ``images (T,D,D,3)`` are the network's crops and ``pictures (T,S,S,3)`` the same crops with S = ``SIDE`` pixels.
    ``landmarks (T,478,2)`` and ``sigma (T,478)`` are MediaPipe's, in shares of the crop's side ((0,0) its top-left
    corner, σ infinite where they are not seen); ``to_image (T,2,3)`` the map from shares of the crop to the footage's
    pixels. ``number (T,)`` is the footage's own. ``follows`` says that the frame before is the one just before
    it in the footage, ``held_out`` that it may not be learnt from.
    """

    images: NDArray[np.uint8]
    pictures: NDArray[np.uint8]
    landmarks: F32
    sigma: F32
    to_image: NDArray[np.float64]
    clip: NDArray[np.int64]
    number: NDArray[np.int64]
    follows: Bools
    held_out: Bools

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def interocular(self) -> NDArray[np.float64]:
        """(T,) median distance of the outer eye corners over the frame's clip, in pixels of the footage."""
        distance = np.full(len(self), np.nan)
        corners = self.in_image(self.landmarks[:, OUTER_CORNERS].astype(np.float64))
        each = np.linalg.norm(corners[:, 0] - corners[:, 1], axis=-1)
        for clip in np.unique(self.clip):
            own = self.clip == clip
            seen = own & np.isfinite(self.sigma[:, OUTER_CORNERS]).all(axis=1)
            distance[own] = np.median(each[seen if seen.any() else own])
        return distance

    def in_image(self, shares: NDArray[np.float64], frames: NDArray[np.intp] | None = None) -> NDArray[np.float64]:
        """Points (T,N,2) in shares of the crop as pixels of the footage; of ``frames (T,)`` where given."""
        maps = self.to_image if frames is None else self.to_image[frames]
        return np.asarray(np.einsum("tij,tnj->tni", maps[:, :, :2], shares) + maps[:, None, :, 2])

    def stretches(self, held_out: bool) -> list[NDArray[np.intp]]:
        """Indices of consecutive frames that are, or are not, held out, stretch by stretch."""
        chosen = np.flatnonzero(self.held_out == held_out)
        cuts = np.flatnonzero((np.diff(chosen) != 1) | ~self.follows[chosen[1:]]) + 1
        return [part for part in np.split(chosen, cuts) if len(part)]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All arrays by name, from which the same frames are made again."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True)
class FramesWanted:
    """The footage to adapt to: ``clips``, of each the frames (first, last), both included, or all; ``weights`` and
    ``size`` (pixels along the crop's side) are the network's that follows the face through them."""

    clips: Sequence[Path]
    size: int
    weights: Path | None = None
    frames: tuple[int, int] | None = None
    most: int = MOST


def gather(wanted: FramesWanted, on_progress: OnProgress, should_cancel: ShouldCancel) -> Frames:
    """Decode and follow the largest face of each clip.

    Raises UserError: ``no_face``, ``too_few_frames``, and what reading the footage and finding the network raise;
    ``Cancelled``.
    """
    opened = [open_footage(clip, wanted.frames) for clip in wanted.clips]  # all, before any is followed
    followed: list[Frames] = []
    for index, whole in enumerate(opened):
        parts = spread_parts(whole, wanted.most // len(opened), wanted.frames)
        seen = [_follow(part, index, wanted, on_progress, should_cancel) for part in parts]
        if all(part is None for part in seen):
            raise UserError(
                ErrorCode.NO_FACE,
                f"No face was found in {wanted.clips[index].name} by both the network and MediaPipe.",
                "Leave it out, or name frames that show the face with --frames.",
            )
        followed += [part for part in seen if part is not None]
    frames = _joined(followed)
    held = sum(len(part) for part in frames.stretches(True) if len(part) >= 3)
    if len(frames) < LEAST or held < 3 or all(len(s) < 3 for s in frames.stretches(False)):
        names = ", ".join(clip.name for clip in wanted.clips)
        many = f"{len(frames)} frame{'s' * (len(frames) != 1)}"
        raise UserError(
            ErrorCode.TOO_FEW_FRAMES,
            f"Only {many} of {names} show{'s' * (len(frames) == 1)} the face, in too few consecutive ones to adapt to: "
            f"at least {LEAST} are needed.",
            "Give footage of a few seconds in which the actor moves and speaks.",
        )
    return frames


def hold_out(numbers: NDArray[np.int64]) -> Bools:
    """(T,) which of a clip's frames are held out: the last fifth of every ``ROUND`` frames or so, in one stretch."""
    rounds = max(1, round(len(numbers) / ROUND))
    place = np.arange(len(numbers)) * rounds / max(len(numbers), 1) % 1
    return np.asarray(place >= 1 - HELD_OUT - 1e-9)


def spread_parts(whole: Footage, most: int, frames: tuple[int, int] | None) -> Iterator[Footage]:
    """The footage, or parts of ``ROUND`` frames spread over it where it has more than ``most``."""
    if whole.total <= most:
        yield whole
        return
    count = max(1, most // ROUND)
    length = min(ROUND, max(most, 3))
    info = whole.info
    known = np.array(info.numbers) if info.numbers else np.arange(info.first_frame, info.last_frame + 1)
    if frames is not None:
        known = known[(known >= frames[0]) & (known <= frames[1])]
    for start in np.linspace(0, len(known) - length, count).round().astype(int):
        yield whole.part((int(known[start]), int(known[start + length - 1])))


def _follow(
    footage: Footage, index: int, wanted: FramesWanted, on_progress: OnProgress, should_cancel: ShouldCancel
) -> Frames | None:
    """The frames of one part of a clip: the network follows the face first, then its crops are cut out. None where it
    shows no face."""
    name = footage.info.path.name
    aligner = find_aligner("combined", load_head("open"), wanted.weights)
    view = align_footage(
        footage,
        aligner,
        finder=face_finder(),
        needs_face=False,
        on_progress=lambda done, total: on_progress(f"following the face in {name}", done, total),
        should_cancel=should_cancel,
    )
    if not _found(view):
        return None
    crops = {int(n): crop_of(FaceBox(*map(float, view.boxes[t])), wanted.size) for t, n in _found(view)}
    images, pictures = [], []
    for frame in prefetch(footage):
        if should_cancel():
            raise Cancelled
        if (crop := crops.get(frame.number)) is not None:
            images.append(cut(frame.image, crop))
            pictures.append(cut(frame.image, _sized(crop, SIDE)))
    times = np.array([t for t, _ in _found(view)], np.intp)
    shape = (len(times),)
    found = [_sized(crops[int(view.numbers[t])], 1) for t in times]
    sparse = view.point_sets[1]
    shares = [crop.points_from_image(sparse.mu[t].astype(np.float64)) for crop, t in zip(found, times, strict=True)]
    sides = np.array([crop.side for crop in found]).reshape(*shape, 1)
    sigma = np.where(sparse.valid[times], sparse.sigma[times] / sides, np.inf)
    before = np.flatnonzero(view.numbers >= 0)
    order = np.full(int(view.numbers.max()) + 1, -9)
    order[view.numbers[before]] = np.arange(len(before))
    follows = np.diff(order[view.numbers[times]], prepend=-9) == 1
    return Frames(
        images=np.stack(images),
        pictures=np.stack(pictures),
        landmarks=np.stack(shares).astype(np.float32),
        sigma=sigma.astype(np.float32),
        to_image=np.stack([crop.to_image for crop in found]),
        clip=np.full(shape, index, np.int64),
        number=view.numbers[times],
        follows=follows,
        held_out=hold_out(view.numbers[times]),
    )


def _found(view: ViewAlignment) -> list[tuple[int, int]]:
    """Index and number of the frames in which both aligners see the face."""
    both = np.all([points.valid.any(axis=1) for points in view.point_sets], axis=0) & view.found
    return [(int(t), int(view.numbers[t])) for t in np.flatnonzero(both)]


def _sized(crop: Crop, size: int) -> Crop:
    return Crop(crop.x, crop.y, crop.side, crop.roll, crop.mirrored, size)


def _joined(parts: Sequence[Frames]) -> Frames:
    return Frames(**{name: np.concatenate([part.arrays()[name] for part in parts]) for name in parts[0].arrays()})
