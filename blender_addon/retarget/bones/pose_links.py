"""What links to bones drive of an armature: the texts of drivers, and values over time. Names are ``path[index]``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as ByName
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...scene import axes
from ..drivers import Formula, never_held
from ..mapping import NEUTRAL, BoneLink, Mapping
from ..source import Place
from .bone_motion import BoneMotion, links_by_bone
from .expressions import first_fitting, linear, rotation, turned_by
from .formula_parts import formulas_of

F64 = NDArray[np.float64]

PARALLEL = 1e-4
"""Turns whose axes differ by less than this (radians) are about one axis."""


def slots(bone: Any, name: str, indices: Sequence[int]) -> list[str]:
    """The names of some components of a pose bone's property."""
    return [f"{bone.path_from_id()}.{name}[{index}]" for index in indices]


def rotation_slots(bone: Any) -> list[str]:
    """The names of all components of the rotation that a pose bone has in its mode."""
    name = axes.rotation_property(bone.rotation_mode)
    return slots(bone, name, range(4 if bone.rotation_mode in axes.ROTATION_PROPERTIES else 3))


def moved(mapping: Mapping, bone: str) -> tuple[list[int], bool, list[int]]:
    """Which parts of a bone's location its links move, whether they turn it, and which of its scale they change."""
    links = links_by_bone(mapping)[bone]
    location = np.abs([link.location for link in links]).max(axis=0)
    scale = np.abs(np.array([link.scale for link in links]) - 1.0).max(axis=0)
    turns = bool(np.abs([link.rotation for link in links]).max() > 0)
    return list(np.flatnonzero(location)), turns, list(np.flatnonzero(scale))


def formulas(rig: Any, mapping: Mapping, places: ByName[str, Place]) -> dict[str, Formula]:
    """The drivers of all bones that links move and the armature has, by name.

    Raises:
        TooLongError: an expression would be.
    """
    found: dict[str, Formula] = {}
    for bone, links in links_by_bone(mapping).items():
        there = [mapping.action_of(link) in (*places, NEUTRAL) for link in links]
        if bone in rig.pose.bones and any(there) and places:
            found |= _bone(rig.pose.bones[bone], links, mapping, places)
    return found


def _bone(bone: Any, links: Sequence[BoneLink], mapping: Mapping, places: ByName[str, Place]) -> dict[str, Formula]:
    actions = [action for link in links if (action := mapping.action_of(link)) in places]
    variables = tuple(places[action] for action in dict.fromkeys(actions)) or (next(iter(places.values())),)
    names = {action: f"ff{index}" for index, action in enumerate(dict.fromkeys(actions))}
    location, turns, scale = moved(mapping, bone.name)

    def total(factors: Sequence[float], constant: float, digits: int) -> str:
        terms = [(constant, "1")]
        for link, factor in zip(links, factors, strict=True):
            terms += _response(link, names.get(mapping.action_of(link)), mapping.action_of(link), factor, digits)
        return linear(terms, digits)

    found: dict[str, Formula] = {}
    for name, constant, indices in (("location", 0.0, location), ("scale", 1.0, scale)):
        for index in indices:
            factors = [getattr(link, name)[index] - constant for link in links]
            text = first_fitting(partial(_listed, total, factors, constant))
            found |= formulas_of(slots(bone, name, [index]), text, variables)
    if turns:
        vectors = np.array([link.rotation for link in links], np.float64)
        found |= formulas_of(rotation_slots(bone), _turn(bone.rotation_mode, vectors, total), variables)
    return found


def _listed(total: Callable[[Sequence[float], float, int], str], *factors: Any) -> list[str]:
    return [total(*factors)]


def _turn(mode: str, vectors: F64, total: Any) -> Sequence[str]:
    """The texts of a rotation's values, of rotation vectors (L,3) of links that add up."""
    strongest = vectors[np.linalg.norm(vectors, axis=1).argmax()]
    axis = strongest / np.linalg.norm(strongest)
    if np.abs(vectors - np.outer(vectors @ axis, axis)).max() < PARALLEL:

        def about_one(digits: int) -> Sequence[str]:
            angle = total(list(vectors @ axis), 0.0, digits)
            if mode not in axes.ROTATION_PROPERTIES and np.abs(axis).max() > 1 - 1e-6:
                return [linear([(share, f"({angle})")], digits) if angle != "0" else "0" for share in axis]
            gibbs = [linear([(share, f"tan(({angle})/2)")], digits) for share in axis]
            return rotation(mode, gibbs, digits)

        return first_fitting(about_one)
    return first_fitting(*turned_by(lambda digits: [total(list(part), 0.0, digits) for part in vectors.T], mode))


def _response(link: BoneLink, name: str | None, action: str, factor: float, digits: int) -> list[tuple[float, str]]:
    response = link.response
    if abs(factor) < 1e-12:
        return []
    if name is None:
        return [(factor * response.of(1.0 if action == NEUTRAL else 0.0), "1")]
    if never_held(response):
        return [(factor * response.gain, name), (factor * response.offset, "1")]
    inner = linear([(response.gain, name), (response.offset, "1")], digits)
    return [(factor, f"min(max({inner},{response.low:.{digits}g}),{response.high:.{digits}g})")]


def values(rig: Any, mapping: Mapping, motion: ByName[str, BoneMotion]) -> dict[str, F64]:
    """The values (T,) of all that links drive of the armature, by name."""
    found: dict[str, F64] = {}
    for name, course in motion.items():
        if name not in rig.pose.bones:
            continue
        bone = rig.pose.bones[name]
        location, turns, scale = moved(mapping, name)
        found |= dict(zip(slots(bone, "location", location), course.location.T[location], strict=True))
        found |= dict(zip(slots(bone, "scale", scale), course.scale.T[scale], strict=True))
        if turns:
            rows = axes.rotation_values(axes.rotation_matrices(course.rotation), bone.rotation_mode)
            found |= dict(zip(rotation_slots(bone), rows.T, strict=True))
    return found
