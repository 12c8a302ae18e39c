"""The landmarks that were seen in a take's footage, kept with each of its versions.

They are bytes in the version's record: Blender would keep lists of numbers as double precision, and an undo step
writes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from . import ownership as replace
from . import versions_of_take as versions
from .timing import timing_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

RECORD = "landmarks"
"""Of a version's record: frames as the footage counts them, vertices, weights, and what each view saw."""
BEFORE = "before"
"""Of such a record: that of a version which is deleted by now, and into which this one was set."""
SAME_FRAME = 0.5


@dataclass(frozen=True, eq=False)
class Landmarks:
    """N landmarks on one frame: ``vertices (N,3)`` of the head, their weights ``barycentric (N,3)``, and the pixels
    ``seen (N,2)`` of a view's picture, NaN where it did not see them.

    ``inter_ocular`` is in metres, 0 where unknown.
    """

    vertices: NDArray[np.int32]
    barycentric: F32
    seen: F32
    inter_ocular: float

    def on(self, points: F64) -> F64:
        """(N,3) the landmarks on a head whose vertices are at ``points (V,3)``."""
        return np.asarray(np.einsum("nkc,nk->nc", points[self.vertices], self.barycentric.astype(np.float64)))


def keep(collection: Any, take: contract.TakeResult) -> None:
    """Put the landmarks of a run, which counts frames as its footage does, into the version that is shown now."""
    if not len(take.landmark_vertices):
        return
    record = collection[versions.RECORD][str(collection[versions.CURRENT])]
    record[RECORD] = {
        "frames": take.scene_frames.astype(np.float64).tobytes(),
        "vertices": take.landmark_vertices.astype(np.int32).tobytes(),
        "barycentric": take.landmark_barycentric.astype(np.float32).tobytes(),
        "inter_ocular": float(take.head.inter_ocular),
        "views": {replace.short(view.name): view.landmarks_px.astype(np.float32).tobytes() for view in take.cameras},
    }


def landmarks_at(collection: Any, view: str, frame: float) -> Landmarks | None:
    """The landmarks of a take's present version in a view (its shortened name) on a frame of the scene.

    Of a version that tracked a part of the take again, what is outside of it was seen by the version before. None where
    nobody looked, or where the landmarks were not kept.
    """
    record = collection.get(versions.RECORD, {})
    number, home = str(collection.get(versions.CURRENT, 0)), timing_of(collection).home(frame)
    passed: set[str] = set()
    while number in record and number not in passed:
        passed.add(number)
        kept = record[number].get(RECORD)
        while kept is not None:
            found = _read(kept, view, home)
            if found is not None:
                return found
            kept = kept.get(BEFORE)
        number = str(record[number].get(versions.BASE, 0))
    return None


def _read(kept: Any, view: str, home: float) -> Landmarks | None:
    if view not in kept["views"]:
        return None
    frames = np.frombuffer(kept["frames"], np.float64)
    nearest = int(np.abs(frames - home).argmin())
    if abs(frames[nearest] - home) > SAME_FRAME:
        return None
    vertices = np.frombuffer(kept["vertices"], np.int32).reshape(-1, 3)
    seen = np.frombuffer(kept["views"][view], np.float32).reshape(len(frames), len(vertices), 2)
    barycentric = np.frombuffer(kept["barycentric"], np.float32).reshape(-1, 3)
    return Landmarks(vertices, barycentric, seen[nearest], float(kept["inter_ocular"]))


def hand_on(collection: Any, number: int) -> None:
    """Leave the landmarks of a version that is about to be deleted to those that were set into it."""
    record = collection[versions.RECORD]
    gone = record[str(number)]
    older = gone.get(RECORD)
    for data in record.values():
        if int(data.get(versions.BASE, 0)) != number:
            continue
        data[versions.BASE] = int(gone.get(versions.BASE, 0))
        if older is None:
            continue
        holder, key = data, RECORD
        while key in holder:
            holder, key = holder[key], BEFORE
        holder[key] = older.to_dict()


def kept_by(collection: Any) -> bool:
    """True where any version of a take has its landmarks."""
    return any(RECORD in data for data in collection.get(versions.RECORD, {}).values())
