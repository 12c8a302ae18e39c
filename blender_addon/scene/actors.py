"""The heads of one take: which of its faces is which head, and further heads built and kept beside the first.

Each further head is a collection of its own within the take's, with its versions, its materials and its armature; it
stands under the take's root and is seen by the take's cameras, which are the take's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..vendor import take as contract
from . import ownership as replace
from . import timing
from . import versions_of_take as versions

F64 = NDArray[np.float64]

FACE = "flowface_face"
"""Of a take's collection: where its face was seen: footage frame, x and y in pixels, size in pixels, row after row."""
FACE_METRES = 0.16
"""How large a face is taken to be."""
SAME_PLACE = 0.5
"""Faces' sizes: one that is nearer than this to where a head's face was seen on the same frames is that face."""
NO_FRAME_ALIKE = 0.4
"""What counts at most where two runs have no frame in common, and nobody can tell."""


def face_path(take: contract.TakeResult) -> F64:
    """Where the first camera saw the face: rows (n,4) as ``FACE`` has them, of the frames that show it."""
    view = take.cameras[0]
    placed = np.einsum("tij,tj->ti", view.world_to_camera[:, :, :3], take.head_translation)
    placed = placed + view.world_to_camera[:, :, 3]
    depth = np.maximum(placed[:, 2], 1e-6)
    places = view.focal_px[:, None] * placed[:, :2] / depth[:, None] + view.principal_point
    sizes = view.focal_px * FACE_METRES / depth
    return np.column_stack([take.scene_frames, places, sizes])[take.tracked]


def remember_face(collection: Any, take: contract.TakeResult) -> None:
    """Keep where a run saw the face, beside what earlier runs know of other frames."""
    new = face_path(take)
    old = _known_path(collection)
    rows = np.concatenate([old[~np.isin(old[:, 0], new[:, 0])], new])
    collection[FACE] = rows[np.argsort(rows[:, 0])].ravel().tolist()


def _known_path(collection: Any) -> F64:
    return np.array(collection.get(FACE, ()), np.float64).reshape(-1, 4)


def heads_for(main: Any, results: Sequence[contract.TakeResult], preferred: Any = None) -> list[Any]:
    """The collection of the head that each result of a run is of; None where it is a face that the take has not.

    A face is known by where it was seen on the frames that both runs have. Footage that shows but one face, and takes
    that an earlier add-on built, cannot tell: the first result is the first head. Of runs without a frame in common
    the nearest is meant, and the ``preferred`` head where there is but one result.
    """
    heads = replace.family_of(main)
    several = max(int(result.report.get("faces_seen", 1)) for result in results) > 1
    if len(results) == 1 and len(heads) == 1 and not several:
        return [main]
    found: list[Any] = [None] * len(results)
    pairs = [
        (_apart(face_path(result), _known_path(head), preferred == head and len(results) == 1), r, h)
        for r, result in enumerate(results)
        for h, head in enumerate(heads)
    ]
    for apart, r, h in sorted(pairs):
        if apart < SAME_PLACE and found[r] is None and heads[h] not in found:
            found[r] = heads[h]
    return found


def _apart(new: F64, known: F64, preferred: bool) -> float:
    """How far a face is from where another was seen, in its size."""
    if not len(known) or not len(new):
        return NO_FRAME_ALIKE - 0.1 * preferred
    _, at, of = np.intersect1d(new[:, 0], known[:, 0], return_indices=True)
    if len(at):
        return float(np.median(np.linalg.norm(new[at, 1:3] - known[of, 1:3], axis=1) / known[of, 3]))
    gaps = np.abs(new[:, None, 0] - known[None, :, 0])
    n, k = np.unravel_index(int(gaps.argmin()), gaps.shape)
    apart = float(np.linalg.norm(new[n, 1:3] - known[k, 1:3]) / known[k, 3])
    return min(apart, NO_FRAME_ALIKE) - 0.1 * preferred


def new_actor(main: Any) -> Any:
    """An empty collection for a further head of a take, under the take's own timing and before its cameras."""
    number = 1 + max([1, *(int(actor.get(replace.ACTOR_NUMBER, 1)) for actor in replace.actors_of(main))])
    collection = bpy.data.collections.new(f"{main.name} head {number}")
    collection[replace.TAKE_KEY] = main[replace.TAKE_KEY]
    collection[replace.ACTOR_OF], collection[replace.ACTOR_NUMBER] = main, number
    if timing.TIMING in main:
        collection[timing.TIMING] = main[timing.TIMING].to_list()
    main.children.link(collection)
    share_cameras(main, collection)
    return collection


def share_cameras(main: Any, actor: Any) -> None:
    """Let a further head be seen by the cameras that the take has now."""
    for view in replace.shown_views(main):
        if view.camera is not None:
            actor[replace.known_role(view.name)] = view.camera


def job_key(take: contract.TakeResult, job: str) -> str:
    """What a head's version remembers of the job that tracked it: its id, and of a further face its number there."""
    return key_of(job, int(take.report.get("head_number", 1)))


def key_of(job: str, number: int) -> str:
    """The ``job_key`` of a job's face, counted from 1."""
    return f"{job}#{number}" if job and number > 1 else job


def job_of(key: str) -> tuple[str, int]:
    """The id of the job that a ``job_key`` speaks of, and the number of the face there."""
    job, _, number = key.partition("#")
    return job, int(number) if number.isdecimal() else 1


def switch(context: Any, collection: Any, number: int) -> list[Any]:
    """Show a version, and with it those of the take's other heads that the same job made; whoever changed."""
    versions.switch(context, collection, number)
    shown = versions.current(collection)
    job = job_of(shown.job)[0] if shown is not None else ""
    changed = [collection]
    for other in replace.family_of(collection):
        same = [version for version in versions.all_of(other) if job and job_of(version.job)[0] == job]
        if other != collection and same:
            versions.switch(context, other, same[-1].number)
            changed.append(other)
    return changed
