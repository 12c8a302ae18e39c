"""The alignment of a whole take, streamed: decoding runs beside it and no more than a few pictures are held."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from backend.alignment.choice import FaceChoice
from backend.alignment.cuts import ShotJudge, follow_shots
from backend.alignment.face_following import FaceFollowing
from backend.alignment.keeping import Keeper
from backend.alignment.lids import with_lid_closure
from backend.alignment.several_faces import FacesWanted, SeveralFaces
from backend.alignment.types import Aligner, FaceFinder
from backend.errors import Cancelled, ErrorCode, UserError
from backend.footage import Footage, prefetch
from backend.observations import AlignedFrame, ViewAlignment

T = TypeVar("T")


def align_footage(
    footage: Footage,
    aligner: Aligner,
    choice: FaceChoice | None = None,
    *,
    finder: FaceFinder,
    on_found: Callable[[Sequence[AlignedFrame]], None] | None = None,
    on_frame: Callable[[AlignedFrame], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
    keeper: Keeper | None = None,
    needs_face: bool = True,
) -> ViewAlignment:
    """Decode and align footage.

    ``on_frame`` is called with every frame as it is known, in order; ``on_progress`` with (frames done, frames
    expected); ``should_cancel`` is asked before every frame. A ``keeper`` writes what is known; the frames that it
    found are not decoded again, and ``on_found`` gets them instead.

    Raises UserError ``no_face`` where it ``needs_face``, ``no_frames``, ``face_not_chosen`` and what reading the
    footage raises; ``Cancelled``; OSError where nothing can be kept.
    """
    following = FaceFollowing.resumed(aligner, finder, choice, keeper.found if keeper else ())
    if on_found is not None and following.frames:
        on_found(following.frames)
    seconds = _follow(footage, following, keeper, on_frame, on_progress, should_cancel)
    for frame in following.end():
        if on_frame is not None:
            on_frame(frame)
    _require_face(following.frames, str(footage.info.path), needs_face=needs_face)
    return _stacked(following.frames, footage, aligner, seconds)


@dataclass(frozen=True, eq=False)
class AlignedFaces:
    """A view's alignment of each face, the first one wanted first; ``left_out`` are the frame counts of faces that
    were seen too little to be among all, ``overflowed`` says that there are more than are followed at once."""

    faces: tuple[ViewAlignment, ...]
    left_out: tuple[int, ...] = ()
    overflowed: bool = False


def align_faces(
    footage: Footage,
    aligner: Aligner,
    wanted: FacesWanted,
    *,
    finder: FaceFinder,
    on_found: Callable[[Sequence[AlignedFrame]], None] | None = None,
    on_frame: Callable[[AlignedFrame], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_cancel: Callable[[], bool] | None = None,
    keeper: Keeper | None = None,
) -> AlignedFaces:
    """Decode footage once and align several of its faces, as ``align_footage`` does one; ``on_frame`` gets the first.

    Raises UserError ``no_face``, ``no_frames``, ``face_not_chosen`` and what reading the footage raises; ``Cancelled``;
    OSError where nothing can be kept.
    """
    following = SeveralFaces.resumed(aligner, finder, wanted, keeper.found if keeper else ())
    if on_found is not None and (frames := following.frames):
        on_found(frames)
    seconds = _follow(footage, following, keeper, on_frame, on_progress, should_cancel)
    found = following.end()
    _require_face(found.faces[0], str(footage.info.path))
    none = dict.fromkeys(seconds, 0.0)  # the first face has the time of all
    faces = [_stacked(face, footage, aligner, none if n else seconds) for n, face in enumerate(found.faces)]
    return AlignedFaces(tuple(faces), found.left_out, found.overflowed)


def _follow(
    footage: Footage,
    following: FaceFollowing | SeveralFaces,
    keeper: Keeper | None,
    on_frame: Callable[[AlignedFrame], None] | None,
    on_progress: Callable[[int, int], None] | None,
    should_cancel: Callable[[], bool] | None,
) -> Mapping[str, float]:
    """Show all frames to whoever follows faces, but for those that are kept; the busy seconds of both sides."""
    clock = _Clock()
    last = keeper.last_number if keeper else None
    rest = footage if last is None else footage.after(last)
    judge = keeper.judge if keeper else ShotJudge()
    total = footage.total
    before = total - (rest.total if rest else 0)
    with closing(prefetch(clock.timed("decode", _until_cancelled(rest or (), should_cancel)))) as decoded:
        started = time.perf_counter()
        for done, (frame, follows) in enumerate(follow_shots(decoded, judge), start=before + 1):
            for known in following.take(frame, follows):
                if on_frame is not None:
                    on_frame(known)
            if keeper is not None:
                keeper.taken(following, judge)
            if on_progress is not None:
                on_progress(done, total)
        clock.seconds["align"] = time.perf_counter() - started
    if should_cancel is not None and should_cancel():
        raise Cancelled
    if keeper is not None:
        keeper.keep(following, judge)
    return clock.seconds


def _stacked(
    frames: Sequence[AlignedFrame], footage: Footage, aligner: Aligner, seconds: Mapping[str, float]
) -> ViewAlignment:
    info = footage.info
    view = ViewAlignment.stacked(
        frames,
        aligner.point_sets,
        aligner=aligner.name,
        image_size=(info.width, info.height),
        frame_rate=info.frame_rate,
        seconds=seconds,
    )
    return view if aligner.lids is None else with_lid_closure(view, aligner.lids)


def _require_face(frames: Sequence[AlignedFrame], footage_name: str, *, needs_face: bool = True) -> None:
    if not frames:
        raise UserError(ErrorCode.NO_FRAMES, f"No frame of {footage_name} could be read.", "The file may be damaged.")
    if needs_face and all(frame.alignment is None for frame in frames):
        pictures = "the picture" if len(frames) == 1 else f"any of the {len(frames)} frames"
        raise UserError(
            ErrorCode.NO_FACE,
            f"No face was found in {pictures} of {footage_name}.",
            "Choose footage that shows a face from the front or side, upright, and at least about 30 pixels tall.",
        )


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
