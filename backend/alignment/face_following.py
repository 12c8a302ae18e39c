"""Following one face, or several until it is known which one is meant, from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from backend.alignment.choice import FaceChoice
from backend.alignment.types import Aligner, FaceFinder
from backend.errors import ErrorCode, UserError
from backend.footage import FootageFrame
from backend.observations import AlignedFrame, Alignment, FaceBox, overlap

_MAX_CANDIDATES = 6  # faces followed at once while the choice lies ahead
_COUNT_EVERY = 15  # frames between looks at the whole image for how many faces there are
_MOVED_TOO_FAR = 0.1  # overlap of successive boxes below which the aligner has slid to something else
_LOOK_EVERYWHERE_EVERY = 5  # frames between searches of every corner of the image while there is no face


class _Follower:
    """One face through time: the last place it was seen leads to the next."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, box: FaceBox) -> None:
        self._aligner = aligner
        self._finder = finder
        self._box = box
        self._lost = 0

    def follow(self, image: NDArray[np.uint8]) -> Alignment | None:
        found = self._again(image) or self._search(image)
        if found is None:
            self._lost += 1
        else:
            self._box, self._lost = found.box, 0
        return found

    def _again(self, image: NDArray[np.uint8]) -> Alignment | None:
        found = _align(self._aligner, image, self._box)
        if found is not None and overlap(found.box, self._box) < _MOVED_TOO_FAR:
            return None
        return found

    def _search(self, image: NDArray[np.uint8]) -> Alignment | None:
        boxes = self._finder.near(image, self._box)
        boxes += self._finder.find(image, thoroughly=self._lost % _LOOK_EVERYWHERE_EVERY == 0)
        for box in sorted(boxes, key=self._strangeness):
            if self._strangeness(box) > 1 + 0.15 * self._lost:
                break
            found = _align(self._aligner, image, box)
            if found is not None:
                return found
        return None

    def _strangeness(self, box: FaceBox) -> float:
        """0 for the box last seen; 1 for one that lies a face's size away, or has twice or half its size."""
        (x, y), (last_x, last_y) = box.centre, self._box.centre
        size, last_size = max(box.area, 1) ** 0.5, max(self._box.area, 1) ** 0.5
        return float(np.hypot(x - last_x, y - last_y) / last_size + abs(np.log2(size / last_size)) - 0.3)


def _align(aligner: Aligner, image: NDArray[np.uint8], box: FaceBox) -> Alignment | None:
    return aligner.align([image], [box])[0]


def _faces(
    aligner: Aligner, finder: FaceFinder, image: NDArray[np.uint8], *, thoroughly: bool = True
) -> list[Alignment]:
    """Every face that both the finder and the aligner believe in, largest first."""
    found: list[Alignment] = []
    for box in finder.find(image, thoroughly=thoroughly)[:_MAX_CANDIDATES]:
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
) -> Iterator[AlignedFrame]:
    """Align the chosen face in every frame, in order, one at a time: nothing but the current image is held.

    ``choice`` defaults to the largest face of the first frame that shows one. Where the choice was made on a later
    frame, all faces are followed up to it and results come out from there on. ``resume_from`` (the box of the last
    alignment of an earlier run) goes on with that face instead. Raises UserError ``face_not_chosen`` where no face
    lies in the chosen place.
    """
    choice = choice or FaceChoice.largest()
    follower = _Follower(aligner, finder, resume_from) if resume_from is not None else None
    waiting = _Candidates(aligner, finder, choice)
    for index, frame in enumerate(frames):
        if follower is None:
            backlog = waiting.take(frame)
            if backlog is not None:
                yield from backlog
                follower = waiting.chosen
            continue
        alignment = follower.follow(frame.image)
        seen = 0
        if index % _COUNT_EVERY == 0:
            seen = len(_faces(aligner, finder, frame.image))
        yield _aligned(frame, alignment, seen)
    if follower is None:
        yield from waiting.give_up()


def _aligned(frame: FootageFrame, alignment: Alignment | None, seen: int = 0) -> AlignedFrame:
    return AlignedFrame(frame.number, frame.time, frame.scene_frame, alignment, seen)


class _Candidates:
    """All faces up to the frame on which one of them is chosen."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, choice: FaceChoice) -> None:
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
            faces = _faces(self._aligner, self._finder, frame.image, thoroughly=thoroughly)
            seen = len(faces)
            self._add_new(faces, here, index)
        self._frames.append(_aligned(frame, None, seen))
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
            raise UserError(
                ErrorCode.FACE_NOT_CHOSEN,
                f"Frame {frame.number} shows {len(here)} face{'s' * (len(here) > 1)}, but none at the chosen "
                f"{self._choice.kind} ({', '.join(f'{value:g}' for value in self._choice.values)}).",
                "Choose a place on the face, in pixels of the displayed picture, or leave the choice out.",
            )
        self.chosen = self._followers[which[picked]]
        path = self._paths[which[picked]]
        return [replace(frame, alignment=path.get(index)) for index, frame in enumerate(self._frames)]

    def give_up(self) -> list[AlignedFrame]:
        """All frames where the choice was never made, without a face."""
        return self._frames
