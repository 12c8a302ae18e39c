"""The take that a live session drives: found where it was driven before, else built; and its recordings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np

from ..live_client import Recorded
from ..scene import actors, build, materials, new_head, retime, shape, timing, update
from ..scene import ownership as replace
from ..scene import versions_of_take as versions
from ..scene.head import SHAPE, shape_points
from ..scene.plan import Plan
from ..vendor import take as contract
from . import recording
from .running import MARK

RATE = "flowface_live_rate"
"""Of a live take's collection: how many of its footage's frames, by which it counts, pass in a second."""
RECORD = "live"
"""Of a version's record: what is known of the recording that it is."""
SAME = 1e-5
"""Metres between two neutrals of the same person."""


def settle(context: Any, take: contract.TakeResult, source: str, preferred: Any = None) -> Any:
    """The collection of the head that a session drives, built where the scene has none.

    A take that was live before is driven again where its head is the same model; where the session knows the person
    otherwise now, that is a new version of it. Must be called in Object Mode.
    """
    found = _driven_before(context.scene, take, preferred)
    if found is None:
        found = build.build_take(context, take, match_scene=False, plan=Plan(None))
        note = "The head as the live session knows it."
    elif _same_shape(found[replace.HEAD], take):
        found[MARK] = source
        return found
    else:
        count_at(found, take.frame_rate)
        update.update_take(context, take, Plan(found), None, "")
        new_head.note_run(found, take)
        note = "The person as the live session was calibrated anew."
    found[MARK], found[RATE] = source, take.frame_rate
    shown = versions.current(found)
    if shown is not None:
        versions.annotate(found, shown.number, note)
    return found


def keep(context: Any, collection: Any, take: contract.TakeResult, recorded: Recorded) -> versions.Version:
    """Make a recording the newest version of the take that was live.

    Raises:
        recording.NothingRecorded: there is no pose.
    """
    scene = context.scene
    rate = scene.render.fps / scene.render.fps_base
    if not any(recording_of(collection, version.number) for version in versions.all_of(collection)):
        at, speed = timing.timing_of(collection), _rate_of(collection) / rate
        retime.retime(collection, start=scene.frame_start + (at.first - 1.0) / speed, speed=speed)
    count_at(collection, recording.rate_of(recorded.told, rate))
    run = recording.run_of(take, recorded, rate, timing.timing_of(collection))
    update.update_take(context, run, Plan(collection), None, "")
    collection[replace.RATE_KEY] = run.frame_rate
    actors.remember_face(collection, run)
    version = versions.current(collection)
    assert version is not None
    full = " It is full: what came later is missing." if recorded.full else ""
    unseen = int((~run.tracked).sum())
    missed = f" On {unseen} frames no face was seen." if unseen else ""
    told = recorded.told
    pictures = "" if told.footage else " It has no pictures, so it cannot be solved again."
    note = f"Recorded live from {collection[MARK]}: {told.seconds:.1f} s, {len(recorded.poses)} poses."
    versions.annotate(collection, version.number, f"{note}{missed}{full}{pictures}")
    versions.keep(collection, version.number, RECORD, {"footage": told.footage, "source": str(collection[MARK])})
    retime.refresh_footage(collection)
    scene.frame_set(scene.frame_current)
    return next(one for one in versions.all_of(collection) if one.number == version.number)


def count_at(collection: Any, rate: float) -> None:
    """Let a take count ``rate`` frames a second from frame 1 on, as a new run does; all keys stay where they are.

    Recordings differ in that: a camera leaves pictures out where the computer is too slow.
    """
    factor = rate / _rate_of(collection)
    now = timing.timing_of(collection)
    first = 1.0 + (now.first - 1.0) * factor
    new = timing.Timing(first, now.start, now.speed * factor)
    for version in versions.all_of(collection):
        ends = {name: [1.0 + (end - 1.0) * factor for end in getattr(version, name)] for name in ("frames", "span")}
        versions.count_anew(collection, version.number, **ends)
    for action in versions.actions_of(collection):
        if retime.HOME in action:
            action[retime.HOME] = (1.0 + (np.array(action[retime.HOME], np.float64) - 1.0) * factor).tolist()
    collection[timing.TIMING], collection[RATE] = [new.first, new.start, new.speed], rate


def meet(scene: Any, take: contract.TakeResult) -> None:
    """Let the live take that a result belongs to count as the result does."""
    found = replace.find_take(scene, take)
    if (
        found is not None
        and MARK in found
        and any(_is_from(found, version.number, take) for version in versions.all_of(found))
    ):
        count_at(found, take.frame_rate)


def _is_from(collection: Any, number: int, take: contract.TakeResult) -> bool:
    kept = recording_of(collection, number)
    return kept is not None and kept["footage"] == take.cameras[0].footage


def _rate_of(collection: Any) -> float:
    return float(collection.get(RATE, collection.get(replace.RATE_KEY, 30.0)))


def recording_of(collection: Any, number: int) -> Mapping[str, Any] | None:
    """What is known of the recording that a version is; None of other versions."""
    kept = versions.kept(collection, number, RECORD)
    return kept.to_dict() if kept is not None else None


def belongs_to(collection: Any, name: str, footage: str) -> None:
    """Have a take be the one that is tracked from this footage by this name: the result is a version of it."""
    old = str(collection[replace.TAKE_KEY])
    new = f"{name}\n{footage}"
    for material in bpy.data.materials:
        if material.get(materials.TAKE_KEY) == old and material.library is None and _worn(collection, material):
            material[materials.TAKE_KEY] = new
    collection[replace.TAKE_KEY] = new


def _worn(collection: Any, material: Any) -> bool:
    head = replace.member(collection, replace.HEAD)
    return head is not None and any(slot.material == material for slot in head.material_slots)


def _driven_before(scene: Any, take: contract.TakeResult, preferred: Any) -> Any | None:
    def fits(collection: Any) -> bool:
        head = replace.member(collection, replace.HEAD)
        there = replace.member(collection, replace.ARMATURE) is not None and MARK in collection
        return bool(there and collection.library is None and head is not None and shape.same_head(head.data, take.head))

    found = [collection for collection in replace.whole_takes_of(scene) if fits(collection)]
    return preferred if preferred in found else next(iter(found), None)


def _same_shape(head: Any, take: contract.TakeResult) -> bool:
    kept = shape.kept_shape(head.data.get(SHAPE), head.data)
    points = shape_points(take.head)
    return kept is not None and kept.shape == points.shape and bool(np.abs(kept[0] - points[0]).max() < SAME)


def last_frame(collection: Any) -> int:
    """The last frame of the scene on which a take has keys."""
    there = timing.scene_span(collection)
    return int(np.ceil(there[1] - recording.SAME_FRAME)) if there is not None else 1


def footage_of(take: Any) -> str:
    """The pictures of the recording that a take shows; "" where it shows none, or one without."""
    kept = _shown_recording(take)
    return str(kept["footage"]) if kept is not None else ""


def cannot_solve(take: Any) -> str:
    """Why the recording that is shown cannot be solved again, "" where it can."""
    kept = _shown_recording(take)
    if kept is None:
        return "The version of the take that is shown is no live recording"
    if not kept["footage"]:
        return "Live Link Face sends no pictures: there is nothing to solve this recording from"
    return ""


def shows_recording(take: Any) -> bool:
    """True where the version of a take that is shown is a live recording."""
    return _shown_recording(take) is not None


def _shown_recording(take: Any) -> Mapping[str, Any] | None:
    version = versions.current(take) if take is not None else None
    return recording_of(take, version.number) if version is not None else None
