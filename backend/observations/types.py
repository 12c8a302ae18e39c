"""Point sets seen in pictures, and the alignment of a whole view (DESIGN §3): what aligners make and fits take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from backend.head_model.model import SurfacePoints
from protocol.face_actions import ARKIT_ACTIONS

F32 = NDArray[np.float32]
Bools = NDArray[np.bool_]

TELLS_POSE = 6
"""Points that must be seen in a frame to tell a head pose, which has six unknowns."""


@dataclass(frozen=True)
class FaceBox:
    """An upright box around a face, pixels: left, top, width, height, and the detector's score in 0…1.

    ``roll`` is how far the face in it is turned in the image, radians, clockwise as seen.
    """

    left: float
    top: float
    width: float
    height: float
    score: float = 1.0
    roll: float = 0.0

    @property
    def centre(self) -> tuple[float, float]:
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def area(self) -> float:
        return self.width * self.height


BOX_FIELDS = ("left", "top", "width", "height", "score", "roll")


def overlap(a: FaceBox, b: FaceBox) -> float:
    """Intersection over union of two boxes, 0…1."""
    width = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    height = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a.area + b.area - width * height)


class PointSetId(NamedTuple):
    """The name of a point set (a name in ``HeadModel.landmarks``, or of free points), and who made it."""

    name: str
    made_by: str


@dataclass(frozen=True, eq=False)
class PointSet:
    """N points of a head's surface as seen in one picture, or, with a first axis T, in a view's frames.

    ``mu (…,N,2)`` float32 are image positions in pixels ((0,0) is the top-left corner of the image, (0.5,0.5) the
    centre of its first pixel), ``sigma (…,N)`` float32 the standard deviation of a circular Gaussian in pixels,
    ``valid (…,N)`` which points to use at all; what is not valid has any μ and σ above 0. ``points`` are the surface
    points where they are free ones (pins, matched skin); None are those that the head calls by the set's name.
    """

    id: PointSetId
    mu: F32
    sigma: F32
    valid: Bools
    points: SurfacePoints | None = None

    @classmethod
    def of(cls, name: str, mu: F32, sigma: F32, valid: Bools, made_by: str = "") -> Self:
        """A set of points that heads have under ``name``; ``made_by`` is ``name`` where nobody else is said."""
        return cls(PointSetId(name, made_by or name), mu, sigma, valid)

    @classmethod
    def unseen(cls, id: PointSetId, frames: int, count: int, points: SurfacePoints | None = None) -> Self:
        """A set none of whose points is seen."""
        return cls(
            id,
            np.zeros((frames, count, 2), np.float32),
            np.ones((frames, count), np.float32),
            np.zeros((frames, count), bool),
            points,
        )

    def at(self, index: NDArray[np.integer[Any]]) -> PointSet:
        """Only these of the frames; -1 stands for a frame in which nothing is seen."""
        taken = np.maximum(index, 0)
        return replace(
            self, mu=self.mu[taken], sigma=self.sigma[taken], valid=self.valid[taken] & (index >= 0)[:, None]
        )

    def surface_points(self, landmarks: Mapping[str, SurfacePoints]) -> SurfacePoints:
        """The points on a head's surface. Raises ``KeyError`` for a name that its ``landmarks`` lack."""
        return landmarks[self.id.name] if self.points is None else self.points


def _joined(parts: Sequence[NDArray[Any]], axis: int) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)


def _told(values: F32, there: Bools) -> F32:
    """Values (T,…) of only these frames, NaN elsewhere."""
    return np.where(there[:, None], values, np.float32(np.nan))


class _AllPoints:
    """The points of all sets as one array, set after set."""

    point_sets: tuple[PointSet, ...]

    @property
    def mu(self) -> F32:
        return np.asarray(_joined([s.mu for s in self.point_sets], -2), np.float32)

    @property
    def sigma(self) -> F32:
        return np.asarray(_joined([s.sigma for s in self.point_sets], -1), np.float32)

    @property
    def valid(self) -> Bools:
        return np.asarray(_joined([s.valid for s in self.point_sets], -1), np.bool_)


@dataclass(frozen=True, eq=False)
class Alignment(_AllPoints):
    """One face in one picture: point sets with ``mu (N,2)``.

    ``action_scores (52,)`` float32 in 0…1, in the order of ``ARKIT_ACTIONS``: how strongly each action is seen, NaN
    where that is not told; None where nobody looked.
    """

    point_sets: tuple[PointSet, ...]
    box: FaceBox
    action_scores: F32 | None = None


@dataclass(frozen=True, eq=False)
class AlignedFrame:
    """One footage frame and the face found in it.

    ``faces_seen`` counts faces where the whole image was searched, else it is 0. ``shot`` counts the cuts before it.
    """

    number: int
    time: float
    scene_frame: float
    alignment: Alignment | None
    faces_seen: int = 0
    shot: int = 0


@dataclass(frozen=True)
class Shot:
    """Frames between two cuts, by their footage frame numbers, both included."""

    first_frame: int
    last_frame: int


@dataclass(frozen=True, eq=False)
class ViewAlignment(_AllPoints):
    """The point sets that one view shows over T frames.

    Frames without a face have ``found`` False and no valid point. Smoothness is about motion in time: ``times`` says
    when each frame is, ``frame_rate`` how many there are a second. A face is found in the frames of one shot only.
    """

    point_sets: tuple[PointSet, ...]
    image_size: tuple[int, int]  # width, height
    frame_rate: float
    numbers: NDArray[np.int64]  # (T,) footage frame numbers, -1 where the footage has none
    times: NDArray[np.float64]  # (T,) seconds, ascending
    scene_frames: NDArray[np.float64]  # (T,)
    found: Bools  # (T,)
    boxes: NDArray[np.float64]  # (T,6) BOX_FIELDS; 0 where not found
    faces_seen: NDArray[np.int64]  # (T,) 0 where the image was not searched for more faces
    shot_numbers: NDArray[np.int64]  # (T,) how many cuts lie between the footage's first frame and this one
    lid_closure: F32 | None  # (T,2) of the (left, right) eye, 0 open … 1 closed, NaN not seen; None: nobody looked
    aligner: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)  # busy time of "decode" and "align"; they overlap
    # (T,52) how strongly each of ARKIT_ACTIONS is seen, 0…1, NaN where not told; None where nobody looked
    action_scores: F32 | None = None

    @classmethod
    def of(
        cls,
        *point_sets: PointSet,
        image_size: tuple[int, int],
        frame_rate: float = 30.0,
        lid_closure: F32 | None = None,
    ) -> ViewAlignment:
        """An alignment of frames numbered from 1 that come from no footage; ``point_sets`` have T frames each."""
        valid = np.concatenate([s.valid for s in point_sets], axis=1)
        frames = len(valid)
        number = np.arange(1, frames + 1)
        return cls(
            point_sets=point_sets,
            image_size=image_size,
            frame_rate=frame_rate,
            numbers=number,
            times=(number - 1) / frame_rate,
            scene_frames=number.astype(np.float64),
            found=valid.any(axis=1),
            boxes=np.zeros((frames, len(BOX_FIELDS))),
            faces_seen=np.zeros(frames, np.int64),
            shot_numbers=np.zeros(frames, np.int64),
            lid_closure=lid_closure,
            aligner=point_sets[0].id.made_by,
        )

    @property
    def frame_count(self) -> int:
        """T."""
        return len(self.numbers)

    @property
    def ids(self) -> tuple[PointSetId, ...]:
        """The ids of the sets there are."""
        return tuple(s.id for s in self.point_sets)

    @property
    def tells_pose(self) -> Bools:
        """(T,) frames in which enough points are seen to tell a head pose (``TELLS_POSE``)."""
        count = sum(s.valid.sum(axis=1) for s in self.point_sets)
        return np.asarray(count >= TELLS_POSE)

    @property
    def most_faces(self) -> int:
        """The most faces seen in any one picture that was searched as a whole."""
        return max(int(self.found.any()), int(self.faces_seen.max(initial=0)))

    @property
    def shots(self) -> tuple[Shot, ...]:
        """The shots there are, in order."""
        numbers = self.numbers[self.numbers >= 0]
        of = self.shot_numbers[self.numbers >= 0]
        return tuple(Shot(int(numbers[of == n].min()), int(numbers[of == n].max())) for n in np.unique(of))

    @property
    def tracked_shot(self) -> Shot | None:
        """The shot in which the face is found; None without a face."""
        seen = self.numbers[self.found]
        return next((shot for shot in self.shots if len(seen) and shot.first_frame <= seen[0] <= shot.last_frame), None)

    def at(self, index: NDArray[np.integer[Any]]) -> ViewAlignment:
        """Only these of the frames, in this order; -1 stands for a frame in which nothing is seen."""
        taken, there = np.maximum(index, 0), index >= 0
        return replace(
            self,
            point_sets=tuple(s.at(index) for s in self.point_sets),
            numbers=np.where(there, self.numbers[taken], -1),
            times=self.times[taken],
            scene_frames=self.scene_frames[taken],
            found=self.found[taken] & there,
            boxes=self.boxes[taken],
            faces_seen=self.faces_seen[taken],
            shot_numbers=self.shot_numbers[taken],
            lid_closure=None if self.lid_closure is None else _told(self.lid_closure[taken], there),
            action_scores=None if self.action_scores is None else _told(self.action_scores[taken], there),
        )

    def at_times(self, times: NDArray[np.float64]) -> ViewAlignment:
        """The same frames at ``times`` (T,) seconds, ascending, and at their mean rate; 30 for a single frame."""
        span = float(times[-1] - times[0])
        return replace(self, times=times, frame_rate=(len(times) - 1) / span if span > 0 else 30.0)

    def far_apart(self) -> ViewAlignment:
        """The same frames too far apart in time to be smooth."""
        return self.at_times(10.0 * np.arange(self.frame_count))

    def with_point_set(self, added: PointSet) -> ViewAlignment:
        """The same with one more set, after the others."""
        return replace(self, point_sets=(*self.point_sets, added))

    @classmethod
    def stacked(
        cls,
        frames: Sequence[AlignedFrame],
        ids: Sequence[PointSetId],
        *,
        aligner: str,
        image_size: tuple[int, int],
        frame_rate: float,
        seconds: Mapping[str, float] | None = None,
    ) -> ViewAlignment:
        """The frames of a view one after the other, aligned by ``aligner`` into the sets ``ids``.

        Where no frame shows a face, nobody knows how many points there are, and the sets are empty.
        """
        seen = [(t, frame.alignment) for t, frame in enumerate(frames) if frame.alignment is not None]
        sets = []
        for number, id in enumerate(ids):
            first = seen[0][1].point_sets[number] if seen else None
            stacked = PointSet.unseen(id, len(frames), len(first.mu) if first else 0, first.points if first else None)
            for t, alignment in seen:
                one = alignment.point_sets[number]
                stacked.mu[t], stacked.sigma[t], stacked.valid[t] = one.mu, one.sigma, one.valid
            sets.append(stacked)
        boxes = np.zeros((len(frames), len(BOX_FIELDS)))
        scores = np.full((len(frames), len(ARKIT_ACTIONS)), np.nan, np.float32)
        for t, alignment in seen:
            if alignment.action_scores is not None:
                scores[t] = alignment.action_scores
            boxes[t] = [getattr(alignment.box, name) for name in BOX_FIELDS]
        return cls(
            point_sets=tuple(sets),
            image_size=image_size,
            frame_rate=frame_rate,
            numbers=np.array([frame.number for frame in frames], np.int64),
            times=np.array([frame.time for frame in frames], np.float64),
            scene_frames=np.array([frame.scene_frame for frame in frames], np.float64),
            found=np.array([frame.alignment is not None for frame in frames], bool),
            boxes=boxes,
            faces_seen=np.array([frame.faces_seen for frame in frames], np.int64),
            shot_numbers=np.array([frame.shot for frame in frames], np.int64),
            lid_closure=None,
            action_scores=scores,
            aligner=aligner,
            seconds=dict(seconds or {}),
        )

    def frames(self) -> list[AlignedFrame]:
        """The frames from which ``stacked`` makes this alignment again, to the bit; they share its arrays."""
        scores = self.action_scores
        frames = []
        for t, found in enumerate(self.found):
            seen = None
            if found:
                sets = [PointSet(s.id, s.mu[t], s.sigma[t], s.valid[t], s.points) for s in self.point_sets]
                box = FaceBox(*map(float, self.boxes[t]))
                seen = Alignment(tuple(sets), box, None if scores is None else scores[t])
            number, time, scene = int(self.numbers[t]), float(self.times[t]), float(self.scene_frames[t])
            frames.append(AlignedFrame(number, time, scene, seen, int(self.faces_seen[t]), int(self.shot_numbers[t])))
        return frames

    @classmethod
    def joined(cls, parts: Sequence[ViewAlignment]) -> ViewAlignment:
        """Parts of one view after one another; those in which no face was found may have empty sets."""
        first = parts[0]
        sets = []
        for number, id in enumerate(first.ids):
            own = [part.point_sets[number] for part in parts]
            count = max(s.mu.shape[1] for s in own)
            whole = [s if s.mu.shape[1] == count else PointSet.unseen(id, len(s.mu), count) for s in own]
            sets.append(
                replace(
                    next(s for s in own if s.mu.shape[1] == count),
                    mu=np.concatenate([s.mu for s in whole]),
                    sigma=np.concatenate([s.sigma for s in whole]),
                    valid=np.concatenate([s.valid for s in whole]),
                )
            )
        names = ["numbers", "times", "scene_frames", "found", "boxes", "faces_seen", "shot_numbers"]
        told = ("lid_closure", "action_scores")
        names += [name for name in told if all(getattr(part, name) is not None for part in parts)]
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        untold: dict[str, Any] = {"lid_closure": None, "action_scores": None}
        return replace(first, point_sets=tuple(sets), **(untold | arrays))
