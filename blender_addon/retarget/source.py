"""What drives a character: an object that has the facial actions as shape keys or custom properties.

A take's head is one, whatever its model: actions that are its own expressions are its shape keys, others custom
properties of the head object. Any object with actions by these names is one too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from bpy.utils import escape_identifier
from numpy.typing import NDArray

from .. import compat
from ..scene import ownership, shape
from ..vendor import face_actions
from . import sampling

F64 = NDArray[np.float64]

RECORDING = "flowface_live_link"
"""Of an empty that another program's recording was imported as, which is turned as the head was: the file's name."""


@dataclass(frozen=True)
class Place:
    """Where an action's weight lies: ``owner``'s property at ``path``."""

    owner: Any
    path: str


def places(source: Any) -> dict[str, Place]:
    """Where each action of a source object lies, of those that it has, in the order of ``ARKIT_ACTIONS``."""
    keys = getattr(source.data, "shape_keys", None)
    blocks: Any = keys.key_blocks if keys is not None else {}
    if keys is not None and shape.built_names(source.data):
        blocks = shape.expressions_of(source.data, face_actions.ARKIT_ACTIONS)  # whatever the user calls them
    found = {}
    for action in face_actions.ARKIT_ACTIONS:
        block = blocks.get(action)
        if block is not None:
            path = block.path_from_id("value")
            found[action] = Place(keys, path)
        elif isinstance(source.get(action), (int, float)):
            path = f'["{escape_identifier(action)}"]'
            found[action] = Place(source, path)
    return found


def recordings_of(scene: Any) -> list[Any]:
    """The empties of a scene that other programs' recordings were imported as."""
    return [obj for obj in scene.objects if RECORDING in obj]


def take_of(source: Any) -> Any | None:
    """The collection of the take whose head a source is; None where it is another object."""
    return next((take for take in source.users_collection if take.get(ownership.HEAD) == source), None)


def weights(source: Any, frames: F64) -> dict[str, F64]:
    """The weight (T,) of each of a source's actions on scene frames (T,): of its curves, else as it is now.

    Where drivers or the NLA have a say, the scene is taken to each of the frames, and back.
    """
    found = places(source)
    out = dict.fromkeys(found, np.zeros(0))
    by_frame = {action: place for action, place in found.items() if sampling.needs_frames(place.owner, place.path)}
    curves = {owner: sampling.curves_of(owner) for owner in dict.fromkeys(place.owner for place in found.values())}
    for action, place in found.items():
        curve = curves[place.owner].get(place.path)
        if action in by_frame:
            continue
        if curve is None:
            out[action] = np.full(len(frames), float(place.owner.path_resolve(place.path)))
        else:
            out[action] = np.array([curve.evaluate(float(frame)) for frame in frames])
    return {**out, **(sampling.sampled(by_frame, frames) if by_frame else {})}


def span(source: Any) -> tuple[float, float] | None:
    """The first and the last frame on which a source's actions have keys or strips; None where they have none."""
    owners = dict.fromkeys(place.owner for place in places(source).values())
    ranges = [curve.range() for owner in owners for curve in compat.action_curves(owner) if len(curve.keyframe_points)]
    ranges += [(strip.frame_start, strip.frame_end) for owner in owners for strip in sampling.strips_of(owner)]
    return (min(low for low, _ in ranges), max(high for _, high in ranges)) if ranges else None
