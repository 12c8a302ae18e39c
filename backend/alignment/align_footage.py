"""The alignment of a whole take, streamed: decoding runs beside it and no more than a few pictures are held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TypeVar

import numpy as np

from backend.alignment.choice import FaceChoice
from backend.alignment.face_following import AlignedFrame, align_frames
from backend.alignment.mediapipe.face_finder import FaceFinder
from backend.alignment.types import Aligner, FaceBox, TakeAlignment
from backend.errors import Cancelled, UserError
from backend.footage import Footage, prefetch

T = TypeVar("T")


def collect(
    frames: Sequence[AlignedFrame],
    aligner: Aligner,
    image_size: tuple[int, int],
    footage_name: str,
    seconds: Mapping[str, float] | None = None,
) -> TakeAlignment:
    """One take from its frames. Raises UserError ``no_frames`` or ``no_face``."""
    if not frames:
        raise UserError("no_frames", f"No frame of {footage_name} could be read.", "The file may be damaged.")
    points = next((len(frame.alignment.mu) for frame in frames if frame.alignment is not None), None)
    if points is None:
        pictures = "the picture" if len(frames) == 1 else f"any of the {len(frames)} frames"
        raise UserError(
            "no_face",
            f"No face was found in {pictures} of {footage_name}.",
            "Choose footage that shows a face from the front or side, upright, and at least about 30 pixels tall.",
        )
    mu = np.zeros((len(frames), points, 2), np.float32)
    sigma = np.ones((len(frames), points), np.float32)
    valid = np.zeros((len(frames), points), bool)
    closed = np.zeros((len(frames), 2), bool)
    for t, frame in enumerate(frames):
        if frame.alignment is not None:
            mu[t], sigma[t], valid[t] = frame.alignment.mu, frame.alignment.sigma, frame.alignment.valid
            if frame.alignment.lids_closed is not None:
                closed[t] = frame.alignment.lids_closed
    return TakeAlignment(
        landmarks=aligner.landmarks,
        aligner=aligner.name,
        numbers=np.array([frame.number for frame in frames], np.int64),
        times=np.array([frame.time for frame in frames]),
        scene_frames=np.array([frame.scene_frame for frame in frames]),
        mu=mu,
        sigma=sigma,
        valid=valid,
        found=np.array([frame.alignment is not None for frame in frames]),
        image_size=image_size,
        faces_seen=max(1, *(frame.faces_seen for frame in frames)) if len(frames) > 1 else max(1, frames[0].faces_seen),
        lids_closed=closed,
        seconds=dict(seconds or {}),
    )


def align_footage(
    footage: Footage,
    aligner: Aligner,
    choice: FaceChoice | None = None,
    *,
    on_frame: Callable[[AlignedFrame], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
    finder: FaceFinder | None = None,
    resume_from: FaceBox | None = None,
    done: Sequence[AlignedFrame] = (),
) -> TakeAlignment:
    """Decode and align footage.

    ``on_frame`` is called with every frame as it is made, in order, so that the caller can keep it; ``on_progress``
    with (frames done, frames expected); ``should_cancel`` is asked before every frame. To go on with an earlier run,
    give its frames as ``done``, the rest as ``footage`` and the last box seen as ``resume_from``.

    Raises UserError ``no_face``, ``no_frames``, ``face_not_chosen`` and what reading the footage raises; ``Cancelled``.
    """
    clock = _Clock()
    frames = list(done)
    total = len(frames) + footage.total
    with closing(prefetch(clock.timed("decode", _until_cancelled(footage, should_cancel)))) as decoded:
        aligned = align_frames(decoded, aligner, choice, finder=finder, resume_from=resume_from)
        started = time.perf_counter()
        for frame in aligned:
            frames.append(frame)
            if on_frame is not None:
                on_frame(frame)
            if on_progress is not None:
                on_progress(len(frames), total)
        clock.seconds["align"] = time.perf_counter() - started
    if should_cancel is not None and should_cancel():
        raise Cancelled
    info = footage.info
    return collect(frames, aligner, (info.width, info.height), str(info.path), clock.seconds)


def _until_cancelled(items: Iterable[T], should_cancel: Callable[[], bool] | None) -> Iterator[T]:
    for item in items:
        if should_cancel is not None and should_cancel():
            raise Cancelled
        yield item


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """The items, adding the time it takes to make them."""
        self.seconds[name] = 0.0
        iterator = iter(items)
        while True:
            started = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds[name] += time.perf_counter() - started
            yield item
