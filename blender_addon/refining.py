"""From a take's corrections to the job that holds to them, and from its result to the take's next version.

A refinement always starts from the take as it was tracked and holds to all corrections that there are: one that was
removed is gone with the next refinement. What goes into the take are the frames that this one or one before it moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .scene import actors, corrections, shape
from .scene import ownership as replace
from .scene import versions_of_take as versions
from .scene.footage_frames import FootageFrames, footage_frames
from .scene.plan import Plan
from .scene.splice import BLEND
from .vendor import arrays, codec
from .vendor import messages as m
from .vendor import take as contract

REPORT = "refine"
"""In a result's report: what the backend says of a refinement."""
REFINED = versions.REFINED
"""In a version's record (``versions_of_take``): the job that tracked it, and the first and last of each range of the
footage's frames that differ from that."""


class CannotRefine(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which there is nothing to refine."""


def job_of(context: Any, take: Any) -> m.RefineJob:
    """The job that holds a take to its corrections.

    Raises:
        CannotRefine: one sentence says why there is none.
    """
    reason = missing(take)
    if reason:
        raise CannotRefine(reason)
    kept, frames = corrections.corrections_of(take), footage_frames(take)
    parent, face = actors.job_of(_base(take))
    try:
        return m.RefineJob(
            parent=parent,
            face=face,
            name=str(take[replace.TAKE_KEY]).split("\n", 1)[0],
            frames=_range(context.scene, frames) if frames is not None else None,
            pins=tuple(corrections.pin_of(pin) for pin in kept.pins),
            masks=tuple(corrections.mask_of(mask) for mask in kept.masks),
            keys=tuple(corrections.key_of(key) for key in kept.held_keys),
        )
    except codec.ProtocolError as problem:
        raise CannotRefine(str(problem)) from problem


def missing(take: Any) -> str:
    """What a refinement needs and does not have, in a sentence; "" where nothing."""
    if take is None:
        return "Track a take first"
    if not _base(take):
        return "No backend has tracked this take: track it again"
    kept = corrections.corrections_of(take)
    if not (len(kept.pins) or len(kept.masks) or len(kept.held_keys)) and not _refined(take):
        return "Nothing is corrected: add a pin, a mask or a held key"
    other = next((pin.name for pin in kept.pins if not corrections.on_this_head(take, pin)), "")
    if other:
        return f"“{other}” is on another head: switch to a version with that head, or remove the pin"
    return ""


def _base(take: Any) -> str:
    """The job (``actors.job_key``) on which a refinement of a take builds: that of the shown version, where it
    holds all that is corrected, else the last one that tracked the whole take.
    """
    version, whole = versions.current(take), str(take.get(replace.JOB_KEY, ""))
    if version is None or not version.job or version.job == whole:
        return whole
    tracked = _tracked(take, version)
    frames, reach = footage_frames(take), _reach(take)
    if tracked is None or frames is None or reach is None or not tracked.job:
        return whole
    ends = (frames.frame_of(number) for number in reach)
    within = all(end is not None and tracked.frames[0] <= frames.timing.home(end) <= tracked.frames[1] for end in ends)
    return tracked.job if within else whole


def _tracked(take: Any, version: versions.Version) -> versions.Version | None:
    """The version that a refined one started from; of one that was tracked, itself."""
    parent = versions.kept(take, version.number, REFINED)
    if parent is None:
        return version
    return next((other for other in versions.all_of(take) if other.job == parent["base"]), None)


def _tracked_job(take: Any, job: str) -> str:
    """The job that tracked what a job has refined; of one that tracked, itself."""
    records = (versions.kept(take, version.number, REFINED) for version in versions.all_of(take) if version.job == job)
    return next((str(data["base"]) for data in records if data is not None), job)


def _reach(take: Any) -> tuple[int, int] | None:
    """First and last of the footage's frames that are corrected; None where that is none, or all."""
    kept = corrections.corrections_of(take)
    numbers = [item.frame for item in (*kept.pins, *kept.held_keys)]
    for mask in kept.masks:
        if mask.all_frames:
            return None
        numbers += [mask.first, mask.last]
    return (min(numbers), max(numbers)) if numbers else None


def _refined(take: Any) -> list[tuple[int, int]]:
    """The ranges of the footage's frames in which the shown version differs from its track."""
    version = versions.current(take)
    data = versions.kept(take, version.number, REFINED) if version is not None else None
    numbers = [int(number) for number in data["ranges"]] if data is not None else []
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _range(scene: Any, frames: FootageFrames) -> tuple[int, int] | None:
    """The footage's frames in the preview range, None where there is none: then the backend knows how far to go."""
    if not scene.use_preview_range:
        return None
    first, last = (frames.number_at(frame) for frame in (scene.frame_preview_start, scene.frame_preview_end))
    first = int(frames.numbers[0]) if first is None else first
    last = int(frames.numbers[-1]) if last is None else last
    return (first, last) if first <= last else None


@dataclass(frozen=True, eq=False)
class Refined:
    """A refinement's result, as it goes into a take."""

    take: contract.TakeResult
    plan: Plan
    base: str  # the job that tracked it
    ranges: tuple[tuple[int, int], ...]  # the footage's frames that differ from the track


def is_refinement(result: contract.TakeResult) -> bool:
    """True of the result of a refinement, whoever asked for it."""
    return REPORT in result.report


def fitted(scene: Any, preferred: Any, parent: str, result: contract.TakeResult) -> Refined | None:
    """A refinement as a part of the take that it was made of; None where that is no longer in the scene.

    ``parent`` is the job (``actors.job_key``) that it builds on, "" where nobody knows.
    """
    collection = _take_of(scene, preferred, parent, result)
    if collection is None:
        return None
    numbers = _numbers(result)
    moved = _moved(result, numbers)
    shown = moved.copy()
    for first, last in _refined(collection):
        # As far again as a border is blended, so that what this one leaves as tracked is as it was tracked.
        shown |= (numbers >= first - BLEND) & (numbers <= last + BLEND)
    if not shown.any():
        return None
    runs = _runs(shown)
    hull = np.zeros(len(shown), bool)
    hull[runs[0][0] : runs[-1][1]] = True
    places = np.arange(len(shown))[hull]
    pieces = tuple((places >= first) & (places < stop) for first, stop in runs)
    words = _words(result.report[REPORT], [(int(numbers[first]), int(numbers[stop - 1])) for first, stop in runs])
    plan = Plan(collection, part=True, pieces=pieces, about=words)
    ranges = tuple((int(numbers[first]), int(numbers[stop - 1])) for first, stop in _runs(moved))
    return Refined(arrays.at_frames(result, places), plan, _tracked_job(collection, parent), ranges)


def _runs(frames: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """(first, stop) of each run of frames (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], frames, [False]]).astype(np.int8)))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]


def _take_of(scene: Any, preferred: Any, job: str, result: contract.TakeResult) -> Any | None:
    """The take one of whose versions a job has tracked, or of the same footage, with the head of a result."""
    found = [
        take
        for take in replace.takes_of(scene)
        if any(version.job == job for version in versions.all_of(take)) or take.get(replace.JOB_KEY) == job
    ]
    one = preferred if preferred in found else next(iter(found), None)
    if one is None and (main := replace.find_take(scene, result, preferred)) is not None:
        one = actors.heads_for(main, [result], preferred)[0]
    head = replace.member(one, replace.HEAD) if one is not None else None
    return None if head is None or not shape.same_head(head.data, result.head) else one


def _numbers(take: contract.TakeResult) -> NDArray[np.int64]:
    """The number (T,) of the first view's footage frame on each frame of a take."""
    numbers = take.cameras[0].footage_frames
    return np.where(numbers >= 0, numbers, np.round(take.scene_frames).astype(np.int64))


def _moved(result: contract.TakeResult, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which frames (T,) of a result may differ from the track, as the backend says."""
    moved = np.zeros(len(numbers), bool)
    for first, last in result.report[REPORT].get("frames", ()):
        moved |= (numbers >= first) & (numbers <= last)
    return moved


def _words(said: Mapping[str, Any], ranges: list[tuple[int, int]]) -> str:
    """What was refined, in a sentence; ``said`` is the backend's report of it."""
    counted = ((len(said.get("pins", ())), "pin"), (said.get("masks", 0), "mask"), (said.get("keys", 0), "held key"))
    held = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counted if count]
    named = [f"{first}" if first == last else f"{first} to {last}" for first, last in ranges]
    frames = f"frame{'s' if ranges != [ranges[0]] or ranges[0][0] != ranges[0][1] else ''} {_listed(named)}"
    return f"Refined {frames} by {_listed(held)}." if held else f"Took back what was refined in {frames}."


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def remember(collection: Any, refined: Refined) -> None:
    """Put down with the version that was just made what it started from, and where it differs from that."""
    version = versions.current(collection)
    if version is not None:
        versions.keep(
            collection,
            version.number,
            REFINED,
            {"base": refined.base, "ranges": [number for ends in refined.ranges for number in ends]},
        )
