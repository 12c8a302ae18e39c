"""The faces of an actor and of a character in the scene as numbers, for measures and calibration."""

from __future__ import annotations

from collections.abc import Mapping as ByName
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kept, source
from .calibration import compared, gains
from .calibration import measures as m
from .calibration.character import Character
from .mapping import Mapping
from .properties import mapping_of

F64 = NDArray[np.float64]

MOST_FRAMES = 3000
"""Of a longer take every second, third, … frame is measured."""
HIGHEST = 3.0
"""To what a slider is raised where that is asked for; a gain goes no further than 2.5."""
_OWN_SHARE = 0.5  # a link with less of its action's or its key's largest gain helps out and says nothing of the action


@dataclass(frozen=True, eq=False)
class Performance:
    """What an actor does on scene frames (T,): weights (T,) by action, and measures (T,) of its face."""

    frames: F64
    weights: ByName[str, F64]
    curves: compared.Curves


def read_character(target: Any) -> Character:
    """The character of a ``FlowFaceTarget`` as numbers.

    Raises:
        NoFace: it has no shape keys, or its face is not found.
    """
    obj, keys = target.object, kept.keys_of(target)
    if keys is None:
        raise m.NoFace("The character has no shape keys, so its face cannot be measured.")
    if not len(obj.data.vertices):
        raise m.NoFace(f"“{obj.name}” has no vertices, so there is no face to measure.")
    mapping = mapping_of(target)
    blocks = {link.key: keys.key_blocks.get(link.key) for link in mapping.keys if not link.response.mute}
    moved = {name: _offsets(obj, block) for name, block in blocks.items() if block is not None}
    sliders = {name: (block.slider_min, block.slider_max) for name, block in blocks.items() if block is not None}
    mesh = _face_mesh(obj, keys, _actions(mapping, moved))
    try:
        return Character(m.find_face(mesh, f"“{obj.name}”"), moved, sliders)
    except m.NoFace as problem:
        raise m.NoFace(f"{problem} Correct the links of “{obj.name}” first.") from None


def read_performance(head: Any) -> Performance:
    """What a source plays, on the frames that it has keys on.

    Raises:
        NoFace: it plays nothing, its actions are no shape keys, or its face is not found.
    """
    played = source.span(head)
    if played is None:
        raise m.NoFace(f"“{head.name}” plays nothing: it has no keys. Choose the head of a take.")
    first, last = np.floor(played[0]), np.ceil(played[1])
    frames = np.arange(first, last + 1, max(1.0, np.ceil((last - first + 1) / MOST_FRAMES)))
    keys = getattr(head.data, "shape_keys", None)
    blocks = {
        action: place.owner.path_resolve(place.path.rpartition(".")[0])
        for action, place in source.places(head).items()
        if place.owner == keys and keys is not None
    }
    if not blocks:
        raise m.NoFace(
            f"The actions of “{head.name}” are no shape keys of its own, so its face cannot be measured. "
            "Track with the open head."
        )
    moved = {action: _offsets(head, block) for action, block in blocks.items()}
    weights = source.weights(head, frames)
    held = {name: np.clip(weights[name], block.slider_min, block.slider_max) for name, block in blocks.items()}
    try:
        face = m.find_face(_face_mesh(head, keys, moved), f"“{head.name}”")
    except m.NoFace as problem:
        raise m.NoFace(f"{problem} Choose the head of a take as the source.") from None
    return Performance(frames, weights, compared.measured(face, moved, held))


def seen_by(performance: Performance, mapping: Mapping) -> compared.Curves:
    """The actor's measures as the character is to have them: sides are swapped where the mapping says so."""
    return compared.mirrored(performance.curves) if mapping.swap else performance.curves


def raised(character: Character, mapping: Mapping) -> Character:
    """The character as it is where sliders may be raised: lids and lips close no more for it and keep theirs."""
    closing = {link.key for link in mapping.keys if gains.stem_of(link.action) in gains.CLOSING}
    sliders = {
        key: (low, high if key in closing else max(high, HIGHEST)) for key, (low, high) in character.sliders.items()
    }
    return replace(character, sliders=sliders)


def raise_sliders(target: Any, character: Character, values: ByName[str, F64]) -> None:
    """Let shape keys go as far as their values (T,) do within a character's sliders, up to the next tenth."""
    blocks = kept.keys_of(target).key_blocks
    for key, curve in values.items():
        most = min(float(curve.max(initial=0.0)), character.sliders.get(key, (0.0, 0.0))[1])
        if key in blocks and most > blocks[key].slider_max + 0.005:
            blocks[key].slider_max = np.ceil(10.0 * most - 0.05) / 10.0


def _actions(mapping: Mapping, moved: ByName[str, F64]) -> dict[str, F64]:
    """What each action moves (V,3), told by the keys that are its own, whatever their gains."""
    links = [link for link in mapping.keys if link.key in moved and not link.response.mute and link.response.gain]
    most: dict[str, float] = {}
    for link in links:
        for name in (f"action {link.action}", f"key {link.key}"):
            most[name] = max(most.get(name, 0.0), abs(link.response.gain))
    found: dict[str, F64] = {}
    for link in links:
        least = _OWN_SHARE * max(most[f"action {link.action}"], most[f"key {link.key}"])
        if abs(link.response.gain) >= least:
            found[link.action] = found.get(link.action, 0.0) + np.sign(link.response.gain) * moved[link.key]
    return found


def _face_mesh(obj: Any, keys: Any, actions: ByName[str, F64]) -> m.FaceMesh:
    edges = np.empty(2 * len(obj.data.edges), np.int32)
    obj.data.edges.foreach_get("vertices", edges)
    return m.FaceMesh(_points(keys.reference_key), edges.reshape(-1, 2).astype(np.intp), actions)


def _offsets(obj: Any, block: Any) -> F64:
    """What a shape key at 1 moves (V,3), within its vertex group where it has one."""
    offsets = _points(block) - _points(block.relative_key)
    group = obj.vertex_groups.get(block.vertex_group) if block.vertex_group else None
    if group is not None:
        offsets *= np.array([_share(vertex, group.index) for vertex in obj.data.vertices])[:, None]
    return offsets


def _share(vertex: Any, group: int) -> float:
    return next((element.weight for element in vertex.groups if element.group == group), 0.0)


def _points(block: Any) -> F64:
    points = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", points)
    return np.nan_to_num(points.reshape(-1, 3).astype(np.float64), posinf=0.0, neginf=0.0)
