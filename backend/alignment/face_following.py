"""Following one face, or several until it is known which one is meant, from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.alignment.choice import FaceChoice, beside_every_face
from backend.alignment.cuts import Follows, follow_shots
from backend.alignment.face_search import (
    TURNED_OVER,
    search_again,
    search_image,
    search_turned_like,
    the_right_way_up,
    turned_apart,
)
from backend.alignment.types import Aligner, FaceFinder
from backend.footage import FootageFrame
from backend.observations import AlignedFrame, Alignment, FaceBox, overlap

_MAX_CANDIDATES = 6  # faces followed at once while the choice lies ahead
_COUNT_EVERY = 15  # frames between looks at the whole image for how many faces there are
_MOVED_TOO_FAR = 0.1  # overlap of successive boxes below which the aligner has slid to something else
_LOOK_EVERYWHERE_EVERY = 5  # frames between searches of every corner of the image while there is no face


class _Follower:
    """One face through time: the last place it was seen leads to the next."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, box: FaceBox, lost: int = 0) -> None:
        """``box`` is where the face was seen last, ``lost`` frames ago."""
        self._aligner = aligner
        self._finder = finder
        self.box = box
        self._lost = lost

    def follow(self, image: NDArray[np.uint8]) -> Alignment | None:
        found = self._again(image) or self._search(image)
        if found is None:
            self._lost += 1
        else:
            self.box, self._lost = found.box, 0
        return found

    def _again(self, image: NDArray[np.uint8]) -> Alignment | None:
        found = _align(self._aligner, image, self.box)
        if found is not None and overlap(found.box, self.box) < _MOVED_TOO_FAR:
            return None
        return found

    def _search(self, image: NDArray[np.uint8]) -> Alignment | None:
        thoroughly = self._lost % _LOOK_EVERYWHERE_EVERY == 0
        boxes = search_again(self._finder, image, self.box, thoroughly=thoroughly)
        for box in sorted(boxes, key=self._strangeness):
            if self._strangeness(box) > 1 + 0.15 * self._lost:
                break
            found = _align(self._aligner, image, the_right_way_up(self._finder, image, box))
            if found is not None:
                return found
        return None

    def _strangeness(self, box: FaceBox) -> float:
        """0 for the box last seen; 1 for one that lies a face's size away, or has twice or half its size."""
        (x, y), (last_x, last_y) = box.centre, self.box.centre
        size, last_size = max(box.area, 1) ** 0.5, max(self.box.area, 1) ** 0.5
        return float(np.hypot(x - last_x, y - last_y) / last_size + abs(np.log2(size / last_size)) - 0.3)


def _align(aligner: Aligner, image: NDArray[np.uint8], box: FaceBox) -> Alignment | None:
    """The aligner's answer; None where it sees no face, or turns over the one that it was shown."""
    found = aligner.align([image], [box])[0]
    return None if found is not None and turned_apart(found.box, box) > TURNED_OVER else found


def _faces(
    aligner: Aligner, image: NDArray[np.uint8], boxes: Sequence[FaceBox], known: Alignment | None = None
) -> list[Alignment]:
    """The face that is ``known``, then those of the boxes that the aligner believes in, too, each face once."""
    found = [] if known is None else [known]
    for box in boxes[:_MAX_CANDIDATES]:
        if known is not None and overlap(box, known.box) >= 0.3:
            continue
        alignment = _align(aligner, image, box)
        if alignment is not None and all(overlap(alignment.box, other.box) < 0.3 for other in found):
            found.append(alignment)
    return found


def align_frames(
    frames: Iterable[FootageFrame],
    aligner: Aligner,
    choice: FaceChoice | None = None,
    *,
    finder: FaceFinder,
    resume_from: FaceBox | None = None,
    done: Sequence[AlignedFrame] = (),
) -> Iterator[AlignedFrame]:
    """Align the chosen face in every frame of its shot, in order, one at a time: nothing but the current image is held,
    or a few where footage may be cut. Frames of other shots have no alignment, as if no face were seen in them.

    ``choice`` defaults to the largest face of the first frame that shows one. Where the choice was made on a later
    frame, all faces of its shot are followed up to it.

    An earlier run is gone on with by its frames, ``done``; ``frames`` then begins behind them, or before them by some
    frames, which are looked at for cuts only: with ``CONTEXT_FRAMES`` of them the answer is that of one run.
    ``resume_from`` goes on with the face last seen in that box. Raises UserError ``face_not_chosen`` where no face
    lies in the chosen place.
    """
    following = _Following(aligner, finder, choice or FaceChoice.largest(), done, resume_from)
    last_done = done[-1].number if done else None
    for frame, follows in follow_shots(frames):
        if last_done is None or frame.number > last_done:
            yield from following.take(frame, follows)
    yield from following.give_up()


class _Following:
    """The state of following through shots: before the shot of the chosen face, in it or behind it."""

    def __init__(
        self,
        aligner: Aligner,
        finder: FaceFinder,
        choice: FaceChoice,
        done: Sequence[AlignedFrame],
        resume_from: FaceBox | None,
    ) -> None:
        self._aligner, self._finder, self._choice = aligner, finder, choice
        self._index = len(done)
        self._shot = done[-1].shot if done else 0
        self._over = False
        self._waiting = self._candidates()
        self._follower: _Follower | None = None
        seen = next((index for index in reversed(range(len(done))) if done[index].alignment is not None), None)
        if seen is not None and (alignment := done[seen].alignment) is not None:
            self._over = done[seen].shot != self._shot
            resume_from = resume_from or alignment.box
        if resume_from is not None and not self._over:
            lost = 0 if seen is None else len(done) - 1 - seen
            self._follower = _Follower(aligner, finder, resume_from, lost)

    def take(self, frame: FootageFrame, follows: Follows) -> Iterator[AlignedFrame]:
        """The next frame; gives what is known of it and of frames before."""
        if follows is Follows.CUT:
            yield from self._begin_shot()
        index, self._index = self._index, self._index + 1
        if self._over or (self._follower is not None and follows is Follows.INTERRUPTION):
            yield AlignedFrame(frame.number, frame.time, frame.scene_frame, None, shot=self._shot)
        elif self._follower is not None:
            yield self._follow(self._follower, frame, count=index % _COUNT_EVERY == 0)
        else:
            backlog = self._waiting.take(frame)
            if backlog is not None:
                self._follower = self._waiting.chosen
                yield from backlog

    def give_up(self) -> list[AlignedFrame]:
        """All frames held back for a choice that was never made, without a face."""
        return [] if self._over or self._follower is not None else self._waiting.give_up()

    def _begin_shot(self) -> list[AlignedFrame]:
        held_back = self.give_up()
        self._over = self._over or self._follower is not None
        self._follower = None
        self._shot += 1
        self._waiting = self._candidates()
        return held_back

    def _candidates(self) -> _Candidates:
        return _Candidates(self._aligner, self._finder, self._choice, self._shot)

    def _follow(self, follower: _Follower, frame: FootageFrame, *, count: bool) -> AlignedFrame:
        alignment = follower.follow(frame.image)
        seen = 0
        if count:
            boxes = search_turned_like(self._finder, frame.image, follower.box)
            seen = len(_faces(self._aligner, frame.image, boxes, alignment))
        return AlignedFrame(frame.number, frame.time, frame.scene_frame, alignment, seen, self._shot)


class _Candidates:
    """All faces of a shot up to the frame on which one of them is chosen."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, choice: FaceChoice, shot: int) -> None:
        self._shot = shot
        self._aligner = aligner
        self._finder = finder
        self._choice = choice
        self._frames: list[AlignedFrame] = []  # without alignment: which one is not known yet
        self._followers: list[_Follower] = []
        self._paths: list[dict[int, Alignment]] = []  # per follower: index in _frames -> alignment
        self.chosen: _Follower | None = None

    def take(self, frame: FootageFrame) -> list[AlignedFrame] | None:
        """Look at one more frame; everything up to it once the choice is made, else None."""
        index = len(self._frames)
        here: dict[int, Alignment] = {}
        for which, follower in enumerate(self._followers):
            found = follower.follow(frame.image)
            if found is not None:
                here[which] = self._paths[which][index] = found
        deciding = self._choice.frame is None or frame.number >= self._choice.frame
        seen = 0
        if deciding or index % _COUNT_EVERY == 0 or not here:
            thoroughly = index % _LOOK_EVERYWHERE_EVERY == 0 or frame.number == self._choice.frame
            boxes = search_image(self._finder, frame.image, thoroughly=thoroughly)
            faces = _faces(self._aligner, frame.image, boxes)
            seen = len(faces)
            self._add_new(faces, here, index)
        self._frames.append(AlignedFrame(frame.number, frame.time, frame.scene_frame, None, seen, self._shot))
        if not deciding or not here:
            return None
        return self._decide(frame, here)

    def _add_new(self, faces: list[Alignment], here: dict[int, Alignment], index: int) -> None:
        for face in faces:
            known = any(overlap(face.box, other.box) >= 0.3 for other in here.values())
            if not known and len(self._followers) < _MAX_CANDIDATES:
                here[len(self._followers)] = face
                self._followers.append(_Follower(self._aligner, self._finder, face.box))
                self._paths.append({index: face})

    def _decide(self, frame: FootageFrame, here: dict[int, Alignment]) -> list[AlignedFrame]:
        which = list(here)
        picked = self._choice.pick([here[w].box for w in which])
        if picked is None:
            raise beside_every_face(self._choice, frame.number, len(here))
        self.chosen = self._followers[which[picked]]
        path = self._paths[which[picked]]
        return [replace(frame, alignment=path.get(index)) for index, frame in enumerate(self._frames)]

    def give_up(self) -> list[AlignedFrame]:
        """All frames where the choice was never made, without a face."""
        return self._frames
