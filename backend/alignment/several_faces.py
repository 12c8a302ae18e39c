"""Following several faces at once, each its own from frame to frame, so that no two are ever on the same face.

In every frame the faces that are seen are given to those that are followed all together, by the least sum of what
speaks against it: the way from where a face is expected by its motion, a change of size, and a change of looks. Where
one face hides another, there is one face to be had for both: the hidden one waits, drifts on as it moved, and takes the
next face that fits. A follower of its own (``face_following``) would slide onto the face in front and stay there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from backend.alignment.choice import FaceChoice, beside_every_face
from backend.alignment.crop import Crop, cut
from backend.alignment.cuts import Follows
from backend.alignment.face_search import search_again, search_image, the_right_way_up, turned_apart
from backend.alignment.keeping import Known, box_of_array, boxes_as_array
from backend.alignment.types import Aligner, FaceFinder
from backend.errors import ErrorCode, UserError
from backend.footage import FootageFrame
from backend.observations import AlignedFrame, Alignment, FaceBox, overlap
from backend.observations.chunks import Chunk

Image = NDArray[np.uint8]

MOST_FACES = 6
"""Faces followed at once, besides those that were chosen."""
LEAST_SHARE = 0.1
"""Of the shot's frames that must show a face for it to be one of “all”: passers-by and errors are seen less."""

_LOOK_EVERY = 5  # frames between looks at the whole image for faces that are new
_LOOK_CLOSELY_EVERY = 15  # the same, everywhere and closely
_MOVED_TOO_FAR = 0.1  # overlap with the box it was looked for in below which the aligner has slid elsewhere
_SAME_FACE = 0.2  # mean distance of points, in sides of the box, below which two alignments are of one face
_NEAR = 1.6  # distance of two faces, in their mean side, from which they are in each other's way
_TURNED_OVER = float(np.deg2rad(90))
_OUT_OF_REACH = 1.0  # strangeness beyond which a face is another one …
_REACH_GROWS = 0.15  # … and what is added for every frame that the face has been lost
_LOOKS = 6.0  # what a change of looks of 1 (black to white all over) counts against a box's side of way
_OTHER_LOOKS = 0.25  # change of looks beyond which a face that was lost is not this one
_LOOKS_FADE = 0.05  # share of what a face looks like that each frame renews
_SLOWS = 0.85  # share of its speed that a lost face keeps from frame to frame
_LOOKS_SIZE = 8  # pixels along a side of the picture by which a face is known


@dataclass(frozen=True)
class FacesWanted:
    """The first face, by default the largest, further ones, and ``every`` for all that there are besides."""

    first: FaceChoice
    others: tuple[FaceChoice, ...] = ()
    every: bool = False


@dataclass(frozen=True, eq=False)
class FollowedFaces:
    """The faces that were wanted, each with every frame; ``left_out`` are the frame counts of those seen too little.

    ``overflowed``: the shot shows more faces than ``MOST_FACES``.
    """

    faces: tuple[list[AlignedFrame], ...]
    left_out: tuple[int, ...] = ()
    overflowed: bool = False


@dataclass(eq=False)
class _Face:
    """One face through a shot: where it was seen, by index of the frame, and what is known for the next one."""

    path: dict[int, Alignment]
    box: FaceBox
    looks: NDArray[np.float32]
    speed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))  # pixels a frame
    lost: int = 0

    @property
    def expected(self) -> FaceBox:
        """The box in which the face would be next, had it kept its motion."""
        ahead = self.speed * sum(_SLOWS**frame for frame in range(min(self.lost, 20) + 1))
        return replace(self.box, left=self.box.left + float(ahead[0]), top=self.box.top + float(ahead[1]))

    def against(self, found: Alignment, looks: NDArray[np.float32]) -> float:
        """What speaks against ``found`` being this face; infinite where it cannot be."""
        strange = _strangeness(found.box, self.expected)
        changed = float(np.abs(self.looks - looks).mean())
        if strange > _OUT_OF_REACH + _REACH_GROWS * self.lost or (self.lost > 1 and changed > _OTHER_LOOKS):
            return np.inf
        return max(strange, 0.0) + _LOOKS * changed

    def go_on(self, index: int, found: Alignment, looks: NDArray[np.float32], *, alone: bool) -> None:
        """It was seen again; what it looks like is learnt only while it is ``alone``."""
        moved = (np.array(found.box.centre) - self.box.centre) / (self.lost + 1)
        self.speed = 0.5 * self.speed + 0.5 * moved if len(self.path) > 1 else moved
        self.path[index], self.box, self.lost = found, found.box, 0
        if alone:
            self.looks = (1 - _LOOKS_FADE) * self.looks + np.float32(_LOOKS_FADE) * looks


def _strangeness(box: FaceBox, expected: FaceBox) -> float:
    """0 for the box that was expected; 1 for one a face's size away, or of twice or half its size."""
    way = float(np.hypot(*np.subtract(box.centre, expected.centre)))
    size, expected_size = max(box.area, 1) ** 0.5, max(expected.area, 1) ** 0.5
    return float(way / expected_size + abs(np.log2(size / expected_size)) - 0.3)


class SeveralFaces:
    """Follows all faces of every shot up to the one in which the first wanted face is, and that one to its end."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, wanted: FacesWanted) -> None:
        self._crowd_of = aligner, finder
        self._crowd = _Crowd(aligner, finder)
        self._wanted = wanted
        self._frames: list[AlignedFrame] = []  # all of the footage, without alignment
        self._begins = 0  # index of the shot's first frame
        self._first: _Face | None = None  # the one that is wanted first, once it is known
        self._told = 0  # frames that were given with it
        self._result: FollowedFaces | None = None
        self._ended = -1  # frames that there were when it was made

    @property
    def frames(self) -> list[AlignedFrame]:
        """What is known by now of the first wanted face."""
        return [] if self._first is None else self._track(self._first)[: self._told]

    def take(self, frame: FootageFrame, follows: Follows) -> list[AlignedFrame]:
        """The next frame, in order; gives what is known by now of the first wanted face, of frames before, too.

        Raises UserError ``face_not_chosen`` where no face lies in its chosen place.
        """
        shot = self._frames[-1].shot if self._frames else 0
        if follows is Follows.CUT and self._frames:
            self._end_shot()
            shot += 1
        seen = 0
        if self._result is None and follows is not Follows.INTERRUPTION:
            choices = (self._wanted.first, *self._wanted.others)
            made_here = [choice for choice in choices if choice.frame == frame.number]
            anywhere = [choice for choice in choices if choice.frame is None and not self._crowd.faces]
            chosen = (*made_here, *anywhere)
            seen = self._crowd.take(frame.image, len(self._frames), chosen, closely=bool(made_here))
        self._frames.append(AlignedFrame(frame.number, frame.time, frame.scene_frame, None, seen, shot))
        if self._first is None:
            self._first = self._picked_at(len(self._frames) - 1, self._wanted.first)
        if self._first is None:
            return []
        told, self._told = self._told, len(self._frames)
        return self._track(self._first, told)

    def _track(self, face: _Face, first: int = 0) -> list[AlignedFrame]:
        """The frames from the index ``first`` on as they show a face."""
        return [
            replace(frame, alignment=face.path.get(index))
            for index, frame in enumerate(self._frames[first:], start=first)
        ]

    def known(self, since: int) -> Known:
        """The frames taken behind the first ``since``, and what ``resumed`` goes on from."""
        faces = self._crowd.faces
        first = -1 if self._first is None else faces.index(self._first)
        return Known(
            [self._track(face, since) for face in faces] or [self._frames[since:]],
            {
                "begins": np.array(self._begins),
                "told": np.array(self._told),
                "ended": np.array(self._ended),
                "first": np.array(first),
                "crowd_taken": np.array(self._crowd.taken),
                "overflowed": np.array(self._crowd.overflowed),
                "boxes": boxes_as_array([face.box for face in faces]),
                "looks": np.array([face.looks for face in faces], np.float32),
                "speeds": np.array([face.speed for face in faces], np.float64),
                "lost": np.array([face.lost for face in faces], np.int64),
            },
        )

    @classmethod
    def resumed(
        cls, aligner: Aligner, finder: FaceFinder, wanted: FacesWanted, chunks: Sequence[Chunk]
    ) -> SeveralFaces:
        """Following as it was behind the last of ``chunks``, which hold what it said was ``known``."""
        following = cls(aligner, finder, wanted)
        if not chunks:
            return following
        state = chunks[-1].state
        begins, told, ended, first = (int(state[name]) for name in ("begins", "told", "ended", "first"))
        shown = [frame for chunk in chunks for frame in chunk.faces[0].frames()]
        frames = [replace(frame, alignment=None) for frame in shown]
        paths = _paths(chunks, len(state["lost"]), begins)
        rows = zip(paths, state["boxes"], state["looks"], state["speeds"], state["lost"], strict=True)
        crowd = following._crowd
        crowd.faces = [
            _Face(path, box_of_array(box), looks, speed, int(lost)) for path, box, looks, speed, lost in rows
        ]
        crowd.taken, crowd.overflowed = int(state["crowd_taken"]), bool(state["overflowed"])
        following._begins, following._told, following._ended = begins, told, ended
        following._first = crowd.faces[first] if first >= 0 else None
        if ended >= 0:
            following._frames = frames[:ended]
            following._result = following._choose()
        following._frames = frames
        return following

    def end(self) -> FollowedFaces:
        """The faces that were wanted; one without an alignment in any frame where none was seen.

        Raises UserError ``face_not_chosen`` where no face lies in a chosen place.
        """
        self._end_shot()
        return self._result or FollowedFaces((list(self._frames),))

    def _end_shot(self) -> None:
        if self._result is None:
            found = self._choose()
            if found is None:
                self._crowd, self._begins = _Crowd(*self._crowd_of), len(self._frames)
                return
            self._result, self._ended = found, len(self._frames)
        if len(self._result.faces[0]) < len(self._frames):  # frames of later shots show nobody
            rest = self._frames[len(self._result.faces[0]) :]
            self._result = replace(self._result, faces=tuple([*face, *rest] for face in self._result.faces))

    def _choose(self) -> FollowedFaces | None:
        """The wanted faces of the shot that ends; None where the first one is none of it."""
        if self._first is None:
            return None
        chosen = [self._first]
        for choice in self._wanted.others:
            face = self._pick(choice)
            if face is None:
                raise UserError(
                    ErrorCode.FACE_NOT_CHOSEN,
                    f"The face chosen on frame {choice.frame} is not in the shot of the first chosen one.",
                    "Choose faces that one shot shows, and track each shot for itself.",
                )
            chosen += [face] if face not in chosen else []
        left_out = []
        if self._wanted.every:
            least = LEAST_SHARE * (len(self._frames) - self._begins)
            others = sorted((f for f in self._crowd.faces if f not in chosen), key=_size, reverse=True)
            left_out = [len(face.path) for face in others if len(face.path) < least]
            chosen += [face for face in others if len(face.path) >= least]
        faces = tuple(self._track(face) for face in chosen)
        return FollowedFaces(faces, tuple(left_out), self._crowd.overflowed)

    def _pick(self, choice: FaceChoice) -> _Face | None:
        """The face of a choice; None where the shot shows nobody from the chosen frame on."""
        found = (self._picked_at(index, choice) for index in range(self._begins, len(self._frames)))
        return next((face for face in found if face is not None), None)

    def _picked_at(self, index: int, choice: FaceChoice) -> _Face | None:
        """The face of a choice that is made on the frame of an index; None before it, or where that shows nobody."""
        number = self._frames[index].number
        here = [face for face in self._crowd.faces if index in face.path]
        if (choice.frame is not None and number < choice.frame) or not here:
            return None
        picked = choice.pick([face.path[index].box for face in here])
        if picked is None:
            raise beside_every_face(choice, number, len(here))
        return here[picked]


def _size(face: _Face) -> float:
    return float(np.median([found.box.area for found in face.path.values()]))


def _paths(chunks: Sequence[Chunk], count: int, begins: int) -> list[dict[int, Alignment]]:
    """Where each of the ``count`` faces of the shot that begins at an index was seen, by index of the frame."""
    paths: list[dict[int, Alignment]] = [{} for _ in range(count)]
    start = 0
    for chunk in chunks:
        for path, view in zip(paths, chunk.faces, strict=False):  # of a shot before there may be more, of this one less
            for index, frame in enumerate(view.frames(), start=start):
                if frame.alignment is not None and index >= begins:
                    path[index] = frame.alignment
        start += chunk.frame_count
    return paths


class _Crowd:
    """All faces of a shot."""

    def __init__(self, aligner: Aligner, finder: FaceFinder) -> None:
        self._aligner, self._finder = aligner, finder
        self.taken = 0
        self.faces: list[_Face] = []
        self.overflowed = False  # there were more faces than can be followed

    def take(self, image: Image, index: int, chosen: Sequence[FaceChoice], *, closely: bool) -> int:
        """Look at one more frame; how many faces it shows where it was searched as a whole, else 0.

        The faces ``chosen`` on it are followed however many others there are.
        """
        searched = closely or self.taken % _LOOK_EVERY == 0 or not self.faces
        closely = closely or self.taken % _LOOK_CLOSELY_EVERY == 0
        self.taken += 1
        crowded = [
            face for face in self.faces if any(_near(face.expected, o.expected) for o in self.faces if o != face)
        ]
        seen = self._followed(image, [face for face in self.faces if face.lost <= 2 and face not in crowded])
        for box in self._boxes(image, crowded, whole=searched, closely=closely):
            if not any(overlap(box, known.box) >= 0.5 for known in seen):
                _add(seen, self._aligner.align([image], [the_right_way_up(self._finder, image, box)])[0])
        for found in self._followed(image, [face for face in crowded if face.lost <= 2]):
            _add(seen, found)
        picked = {choice.pick([found.box for found in seen]) for choice in chosen} - {None}
        seen = [found for _, found in sorted(enumerate(seen), key=lambda one: one[0] not in picked)]
        looks = [_looks(image, found.box) for found in seen]
        owners = self._assign(seen, looks)
        for number, found in enumerate(seen):
            face = owners.get(number)
            others = [other for other in seen if other is not found]
            if face is not None:
                face.go_on(index, found, looks[number], alone=not any(_near(found.box, o.box) for o in others))
            elif all(overlap(found.box, o.box) < 0.3 for o in others):
                if len(self.faces) < MOST_FACES or number < len(picked):
                    self.faces.append(_Face({index: found}, found.box, looks[number]))
                else:
                    self.overflowed = True
        for face in self.faces:
            face.lost += index not in face.path
        return len(seen) if searched else 0

    def _followed(self, image: Image, faces: Sequence[_Face]) -> list[Alignment]:
        """What the aligner sees where faces are expected, each face once."""
        asked = [face.expected for face in faces]
        seen: list[Alignment] = []
        for box, found in zip(asked, self._aligner.align([image] * len(asked), asked) if asked else [], strict=True):
            if found is None or overlap(found.box, box) < _MOVED_TOO_FAR:
                continue
            if turned_apart(found.box, box) <= _TURNED_OVER:
                _add(seen, found)
        return seen

    def _boxes(self, image: Image, crowded: Sequence[_Face], *, whole: bool, closely: bool) -> list[FaceBox]:
        """Where the finder sees faces: anywhere, or about those that are lost or in each other's way.

        The aligner drifts from a face to one that passes it, little by little; the finder looks at each picture anew.
        """
        if whole:
            return search_image(self._finder, image, thoroughly=closely)
        boxes: list[FaceBox] = []
        for face in self.faces:
            if face.lost or face in crowded:
                boxes += search_again(self._finder, image, face.expected, thoroughly=False)
        return boxes

    def _assign(self, seen: Sequence[Alignment], looks: Sequence[NDArray[np.float32]]) -> dict[int, _Face]:
        """The face that each of ``seen`` is, by its index; those that are none's are absent."""
        if not seen or not self.faces:
            return {}
        against = np.array([[face.against(*one) for one in zip(seen, looks, strict=True)] for face in self.faces])
        never = 1e3
        rows, columns = linear_sum_assignment(np.where(np.isfinite(against), against, never))
        return {
            int(column): self.faces[row]
            for row, column in zip(rows, columns, strict=True)
            if np.isfinite(against[row, column])
        }


def _add(seen: list[Alignment], found: Alignment | None) -> None:
    if found is not None and not any(_same(found, other) for other in seen):
        seen.append(found)


def _same(a: Alignment, b: Alignment) -> bool:
    """True where two alignments are of one face: of neighbours, boxes overlap more easily than points agree."""
    apart = np.linalg.norm(a.point_sets[0].mu - b.point_sets[0].mu, axis=1).mean()
    return bool(apart < _SAME_FACE * min(a.box.area, b.box.area) ** 0.5)


def _near(a: FaceBox, b: FaceBox) -> bool:
    side = (a.area**0.5 + b.area**0.5) / 2
    return float(np.hypot(*np.subtract(a.centre, b.centre))) < _NEAR * side


def _looks(image: Image, box: FaceBox) -> NDArray[np.float32]:
    """The face, upright and small, 0…1: its colours more than its features."""
    crop = Crop(*box.centre, side=1.2 * max(box.width, box.height), roll=box.roll, size=4 * _LOOKS_SIZE)
    small = cut(image, crop).reshape(_LOOKS_SIZE, 4, _LOOKS_SIZE, 4, 3).mean(axis=(1, 3))
    return np.asarray(small / 255, np.float32)
