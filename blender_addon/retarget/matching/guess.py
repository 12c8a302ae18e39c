"""A first mapping for a character with shape keys: by its naming family, by names, and by what the keys move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...scene import shape
from ...vendor import face_actions
from .. import files
from ..mapping import BadMapping, KeyLink, Mapping, Response
from . import families, mesh_keys, motion, names
from .fields import Shapes

How = Literal["preset", "name", "motion"]

BESIDE_NAMES = 0.4
"""The least likeness of a key that is told by its motion where other keys' names were told: most of those that are
left are no action at all."""
_ALONE = 0.3
_LEAD = 0.03
"""Of 614 links of MakeHuman's and ICT-FaceKit's actions that were right, all but 2 lead by this; those that are wrong
lead by 0.00 to 0.05."""

_A_FACE = 0.65
"""Less than this is the median likeness of what is no face: random bumps of a ball have 0.50 to 0.63, MakeHuman's
actions 0.81 and more."""


@dataclass(frozen=True)
class Found:
    """A link and how it was found; ``sure`` from 0 to 1, below 0.5 for what should be looked at."""

    link: KeyLink
    how: How
    sure: float


@dataclass(frozen=True)
class Guess:
    """A mapping of keys, and what it leaves: actions that move nothing, and keys that nothing moves.

    ``named_from_front`` where the keys' names call left what is the character's right; the mapping has it right.
    """

    mapping: Mapping
    found: tuple[Found, ...]
    unmapped_actions: tuple[str, ...]
    unmapped_keys: tuple[str, ...]
    named_from_front: bool = False

    def actions_by(self, how: How) -> tuple[str, ...]:
        """The actions that were found in one way."""
        return tuple(dict.fromkeys(found.link.action for found in self.found if found.how == how))

    @property
    def doubtful(self) -> tuple[str, ...]:
        """The actions whose key is less sure than not."""
        return tuple(dict.fromkeys(found.link.action for found in self.found if found.sure < 0.5))


def guess(target: Any, source: Any | None, *, by_names: bool = True, by_motion: bool = True, preset: str = "") -> Guess:
    """The mapping of a target mesh object's keys to the actions of a source that has them as keys.

    With the name of a ``preset`` that alone is taken. Without a source, or with one whose actions are no shape keys,
    only names count.

    Raises:
        BadMapping: the target has no shape keys, or absolute ones; says which and what to do.
    """
    keys = mesh_keys.names_of(target)
    if not keys:
        raise BadMapping(f"“{target.name}” has no shape keys. Choose a mesh that has some.")
    if not len(target.data.vertices):
        raise BadMapping(f"“{target.name}” has no vertices. Choose another mesh.")
    if not target.data.shape_keys.use_relative:
        raise BadMapping(f"The shape keys of “{target.name}” are absolute. Turn on Relative in its Shape Keys panel.")
    if preset:
        chosen = files.presets()[preset]
        return _guess(chosen.name, keys, [Found(link, "preset", 1.0) for link in families.links(chosen, keys)])
    name, found = _by_names(keys) if by_names else ("", [])
    shapes = _source_shapes(source) if by_motion and source is not None else None
    if shapes is None:
        return _guess(name or ("Names" if found else ""), keys, found)
    target_shapes = mesh_keys.read(target)
    from_front = motion.named_from_the_front(shapes, target_shapes, _pairs(found))
    if from_front:
        found = [_mirrored(item) for item in found]
    name = name or ("Names" if found else "Motion")
    found += _by_motion(shapes, target_shapes, found)
    return _guess(name, keys, found, named_from_front=from_front)


def by_names(target: Any) -> Mapping:
    """The mapping that the names of an object's shape keys tell; an empty one where it has none."""
    keys = mesh_keys.names_of(target)
    name, found = _by_names(keys)
    return _guess(name, keys, found).mapping


def _by_names(keys: Sequence[str]) -> tuple[str, list[Found]]:
    """By the family's preset, and what that leaves by single names."""
    family = families.family_of(keys)
    preset = files.presets()[family] if family is not None else Mapping()
    found = [Found(link, "preset", 1.0) for link in families.links(preset, keys)]
    actions, used = {item.link.action for item in found}, {item.link.key for item in found}
    rest = names.match([key for key in keys if key not in used])
    return preset.name, found + [Found(link, "name", 1.0) for link in rest if link.action not in actions]


def _by_motion(source: Shapes, target: Shapes, found: Sequence[Found]) -> list[Found]:
    """By what they move, of the keys and actions that are left; those that are known guide."""
    used, actions = {item.link.key for item in found}, {item.link.action for item in found}
    if not set(source.names) - actions or not set(target.names) - used:
        return []
    known = _pairs(found)
    wanted = [place for place, key in enumerate(target.names) if key not in used or key in known.values()]
    target = Shapes(tuple(target.names[place] for place in wanted), target.neutral, target.offsets[wanted])
    least = BESIDE_NAMES if found else _ALONE
    alike = motion.match(source, target, known, taken=actions, least=least)
    unlike = not known and float(np.median([item.likeness for item in alike] or [1.0])) < _A_FACE
    return [
        Found(KeyLink(item.action, item.key, Response(gain=item.gain)), "motion", _sure(item) / (2 if unlike else 1))
        for item in alike
    ]


def _pairs(found: Sequence[Found]) -> dict[str, str]:
    """Action → key of the links that move the same."""
    return {item.link.action: item.link.key for item in found if _alone(item, found)}


def _mirrored(item: Found) -> Found:
    return replace(item, link=replace(item.link, action=face_actions.mirrored(item.link.action)))


def _alone(item: Found, found: Sequence[Found]) -> bool:
    """Whether a link is the only one of its action and its key, so that both move the same."""
    same = [other for other in found if item.link.action == other.link.action or item.link.key == other.link.key]
    return len(same) == 1


def _source_shapes(source: Any) -> Shapes | None:
    """What the actions move on the source, of those that are its keys, whatever the user calls them; None for none."""
    if getattr(source.data, "shape_keys", None) is None:
        return None
    named = shape.expressions_of(source.data, face_actions.ARKIT_ACTIONS)
    return mesh_keys.read(source, named) if named else None


def _sure(alike: motion.Alike) -> float:
    return min(alike.likeness, 1.0) if alike.lead >= _LEAD else min(alike.likeness, 1.0) / 2


def _guess(name: str, keys: Sequence[str], found: Sequence[Found], *, named_from_front: bool = False) -> Guess:
    order = {action: place for place, action in enumerate(face_actions.ARKIT_ACTIONS)}
    ordered = tuple(sorted(found, key=lambda item: order[item.link.action]))
    mapping = Mapping(name, tuple(item.link for item in ordered))
    used = {link.key for link in mapping.keys}
    return Guess(mapping, ordered, mapping.unmapped(), tuple(key for key in keys if key not in used), named_from_front)
