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
from backend.alignment.keeping import Known, box_of_array, boxes_as_array
from backend.alignment.types import Aligner, FaceFinder
from backend.footage import FootageFrame
from backend.observations import AlignedFrame, Alignment, FaceBox, overlap
from backend.observations.chunks import Chunk

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
        self.lost = lost

    def follow(self, image: NDArray[np.uint8]) -> Alignment | None:
        found = self._again(image) or self._search(image)
        if found is None:
            self.lost += 1
        else:
            self.box, self.lost = found.box, 0
        return found

    def _again(self, image: NDArray[np.uint8]) -> Alignment | None:
        found = _align(self._aligner, image, self.box)
        if found is not None and overlap(found.box, self.box) < _MOVED_TOO_FAR:
            return None
        return found

    def _search(self, image: NDArray[np.uint8]) -> Alignment | None:
        thoroughly = self.lost % _LOOK_EVERYWHERE_EVERY == 0
        boxes = search_again(self._finder, image, self.box, thoroughly=thoroughly)
        for box in sorted(boxes, key=self._strangeness):
            if self._strangeness(box) > 1 + 0.15 * self.lost:
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
    frames: Iterable[FootageFrame], aligner: Aligner, choice: FaceChoice | None = None, *, finder: FaceFinder
) -> Iterator[AlignedFrame]:
    """Align the chosen face in every frame of its shot, in order, one at a time: nothing but the current image is held,
    or a few where footage may be cut. Frames of other shots have no alignment, as if no face were seen in them.

    ``choice`` defaults to the largest face of the first frame that shows one. Where the choice was made on a later
    frame, all faces of its shot are followed up to it. Raises UserError ``face_not_chosen`` where no face lies in the
    chosen place.
    """
    following = FaceFollowing(aligner, finder, choice)
    for frame, follows in follow_shots(frames):
        yield from following.take(frame, follows)
    yield from following.end()


class FaceFollowing:
    """The state of following through shots: before the shot of the chosen face, in it or behind it."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, choice: FaceChoice | None = None) -> None:
        self._aligner, self._finder, self._choice = aligner, finder, choice or FaceChoice.largest()
        self.frames: list[AlignedFrame] = []
        """All that is known, in order: frames taken, but for those that wait for a choice."""
        self._taken = 0
        self._shot = 0
        self._over = False
        self._waiting = self._candidates()
        self._follower: _Follower | None = None
        self._chosen = -1, 0  # the shot of the face that was chosen, and its place among that shot's candidates

    def take(self, frame: FootageFrame, follows: Follows) -> list[AlignedFrame]:
        """The next frame; gives what is known of it and of frames before.

        Raises UserError ``face_not_chosen`` where no face lies in the chosen place.
        """
        known = self._begin_shot() if follows is Follows.CUT else []
        index, self._taken = self._taken, self._taken + 1
        if self._over or (self._follower is not None and follows is Follows.INTERRUPTION):
            known.append(AlignedFrame(frame.number, frame.time, frame.scene_frame, None, shot=self._shot))
        elif self._follower is not None:
            known.append(self._follow(self._follower, frame, count=index % _COUNT_EVERY == 0))
        else:
            backlog = self._waiting.take(frame)
            if backlog is not None:
                self._follower = self._waiting.chosen
                self._chosen = self._shot, self._waiting.chosen_place
                known += backlog
        self.frames += known
        return known

    def end(self) -> list[AlignedFrame]:
        """All frames held back for a choice that was never made, without a face, once there are no more."""
        held_back = self._held_back()
        self.frames += held_back
        return held_back

    def known(self, since: int) -> Known:
        """The frames taken behind the first ``since``, and what ``resumed`` goes on from."""
        faces, followers = [self.frames[since:]], [] if self._follower is None else [self._follower]
        waits = not self._over and self._follower is None
        if waits:
            followers = self._waiting.followers
            begin = max(since - len(self.frames), 0)
            faces = [[*faces[0], *track[begin:]] for track in self._waiting.tracks()]
        return Known(
            faces,
            {
                "known": np.array(len(self.frames)),
                "over": np.array(self._over),
                "waits": np.array(waits),
                "chosen": np.array(self._chosen),
                "boxes": boxes_as_array([follower.box for follower in followers]),
                "lost": np.array([follower.lost for follower in followers], np.int64),
            },
        )

    @classmethod
    def resumed(
        cls, aligner: Aligner, finder: FaceFinder, choice: FaceChoice | None, chunks: Sequence[Chunk]
    ) -> FaceFollowing:
        """Following as it was behind the last of ``chunks``, which hold what it said was ``known``."""
        following = cls(aligner, finder, choice)
        if not chunks:
            return following
        state = chunks[-1].state
        shot, place = (int(number) for number in state["chosen"])
        tracks = [_track_of(chunk, 0 if not chunk.state["waits"] else place) for chunk in chunks]
        frames = [frame for track in tracks for frame in track]
        known = int(state["known"])
        following._taken, following._shot = len(frames), frames[-1].shot
        following._over, following._chosen = bool(state["over"]), (shot, place)
        following.frames = [frame if frame.shot == shot else replace(frame, alignment=None) for frame in frames[:known]]
        followers = [
            _Follower(aligner, finder, box_of_array(box), int(lost))
            for box, lost in zip(state["boxes"], state["lost"], strict=True)
        ]
        following._waiting = following._candidates()
        if state["waits"]:
            held = [[f for chunk in chunks for f in _track_of(chunk, n)][known:] for n in range(len(followers))]
            following._waiting.take_up([replace(frame, alignment=None) for frame in frames[known:]], followers, held)
        elif followers:
            following._follower = followers[0]
        return following

    def _begin_shot(self) -> list[AlignedFrame]:
        held_back = self._held_back()
        self._over = self._over or self._follower is not None
        self._follower = None
        self._shot += 1
        self._waiting = self._candidates()
        return held_back

    def _held_back(self) -> list[AlignedFrame]:
        return [] if self._over or self._follower is not None else self._waiting.give_up()

    def _candidates(self) -> _Candidates:
        return _Candidates(self._aligner, self._finder, self._choice, self._shot)

    def _follow(self, follower: _Follower, frame: FootageFrame, *, count: bool) -> AlignedFrame:
        alignment = follower.follow(frame.image)
        seen = 0
        if count:
            boxes = search_turned_like(self._finder, frame.image, follower.box)
            seen = len(_faces(self._aligner, frame.image, boxes, alignment))
        return AlignedFrame(frame.number, frame.time, frame.scene_frame, alignment, seen, self._shot)


def _track_of(chunk: Chunk, place: int) -> list[AlignedFrame]:
    """A chunk's frames as its face of this place shows them; without a face where it was not known yet."""
    if place < len(chunk.faces):
        return chunk.faces[place].frames()
    return [replace(frame, alignment=None) for frame in chunk.faces[0].frames()]


class _Candidates:
    """All faces of a shot up to the frame on which one of them is chosen."""

    def __init__(self, aligner: Aligner, finder: FaceFinder, choice: FaceChoice, shot: int) -> None:
        self._shot = shot
        self._aligner = aligner
        self._finder = finder
        self._choice = choice
        self._frames: list[AlignedFrame] = []  # without alignment: which one is not known yet
        self.followers: list[_Follower] = []
        self._paths: list[dict[int, Alignment]] = []  # per follower: index in _frames -> alignment
        self.chosen: _Follower | None = None
        self.chosen_place = 0

    def tracks(self) -> list[list[AlignedFrame]]:
        """The frames so far as each face shows them; as nobody does where there is none."""
        return [self._track(path) for path in self._paths or [{}]]

    def take_up(
        self, frames: list[AlignedFrame], followers: list[_Follower], tracks: Sequence[Sequence[AlignedFrame]]
    ) -> None:
        """Go on from what ``tracks()`` said of ``frames``."""
        self._frames, self.followers = frames, followers
        self._paths = [
            {index: frame.alignment for index, frame in enumerate(track) if frame.alignment is not None}
            for track in tracks
        ]

    def _track(self, path: dict[int, Alignment]) -> list[AlignedFrame]:
        return [replace(frame, alignment=path.get(index)) for index, frame in enumerate(self._frames)]

    def take(self, frame: FootageFrame) -> list[AlignedFrame] | None:
        """Look at one more frame; everything up to it once the choice is made, else None."""
        index = len(self._frames)
        here: dict[int, Alignment] = {}
        for which, follower in enumerate(self.followers):
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
            if not known and len(self.followers) < _MAX_CANDIDATES:
                here[len(self.followers)] = face
                self.followers.append(_Follower(self._aligner, self._finder, face.box))
                self._paths.append({index: face})

    def _decide(self, frame: FootageFrame, here: dict[int, Alignment]) -> list[AlignedFrame]:
        which = list(here)
        picked = self._choice.pick([here[w].box for w in which])
        if picked is None:
            raise beside_every_face(self._choice, frame.number, len(here))
        self.chosen_place = which[picked]
        self.chosen = self.followers[self.chosen_place]
        return self._track(self._paths[self.chosen_place])

    def give_up(self) -> list[AlignedFrame]:
        """All frames where the choice was never made, without a face."""
        return self._frames
