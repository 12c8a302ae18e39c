"""Drivers for shape keys and bones, of a key the sum over its links, in terms that Blender works out without Python.

Blender evaluates sums of variables, and expressions of numbers, variables, + − * and its own functions such as
``clamp``, by itself: quickly, and without the permission that scripts in a file need.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as ByName
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..scene import axes
from .mapping import KeyLink, Mapping, Response
from .source import Place


class CannotDrive(Exception):  # noqa: N818 - its text is a sentence for the user
    """A character that cannot be driven: its text says why, and what to do."""


LONGEST = 255
"""Characters of an expression that Blender keeps."""
WIDEST = 3.0
"""No weight is beyond ±this: that of an expression without bounds is held within three standard deviations."""
_DIGITS = (7, 5, 4, 3)
"""Significant digits of numbers: single precision has 7; fewer where an expression is too long."""
_VARIABLE = re.compile(r"ff\d+$")


@dataclass(frozen=True)
class Channel:
    """What an object, or a ``bone`` of it, has in its own space: ``kind`` is ROT_W, ROT_X, …, LOC_Z.

    Three angles are Euler angles in the order of an eye's bone; with W they are a quaternion.
    """

    owner: Any
    bone: str
    kind: str
    quaternion: bool = False


@dataclass(frozen=True)
class Formula:
    """What a driver works out: an expression of ff0, ff1, …, which stand for ``variables``; without one their sum."""

    expression: str
    variables: tuple[Place | Channel, ...]


def formula(links: Sequence[KeyLink], mapping: Mapping, places: ByName[str, Place]) -> Formula | None:
    """The driver of a key with these links, None where the source has none of their actions.

    Raises:
        ValueError: it has so many links with ranges of their own that no expression holds them.
    """
    there = [link for link in links if mapping.action_of(link) in places]
    if not there:
        return None
    actions = list(dict.fromkeys(mapping.action_of(link) for link in there))
    variables = tuple(places[action] for action in actions)
    factors = dict.fromkeys(range(len(actions)), 0.0)
    constant, held = 0.0, []
    for link in links:
        action, response = mapping.action_of(link), link.response
        if action not in places:
            constant += response.of(0.0)
        elif never_held(response):
            factors[actions.index(action)] += response.gain
            constant += response.offset
        else:
            held.append((actions.index(action), response))
    if not held and not constant and all(factor == 1.0 for factor in factors.values()):
        return Formula("", variables)
    for digits in _DIGITS:
        text = _expression(factors, constant, held, digits)
        if len(text) <= LONGEST:
            return Formula(text, variables)
    raise ValueError("too long")


def never_held(response: Response) -> bool:
    """True where no weight of a source reaches the bounds of a response."""
    reach = abs(response.gain) * WIDEST + abs(response.offset)
    return response.low <= -reach and reach <= response.high


def _expression(factors: ByName[int, float], constant: float, held: Sequence[tuple[int, Response]], digits: int) -> str:
    def number(value: float) -> str:
        return f"{value:.{digits}g}"

    terms = [f"{number(factor)}*ff{index}" for index, factor in factors.items() if factor]
    for index, one in held:
        inner = f"{number(one.gain)}*ff{index}{_signed(number(one.offset))}"
        terms.append(f"min(max({inner},{number(one.low)}),{number(one.high)})")
    text = "".join(_signed(term) for term in terms).removeprefix("+")
    return f"{text}{_signed(number(constant))}" if constant else text or "0"


def _signed(term: str) -> str:
    return "" if term == "0" else (term if term.startswith("-") else f"+{term}")


def is_ours(curve: Any) -> bool:
    """True of a driver that ``write`` made."""
    variables = curve.driver.variables
    return len(variables) > 0 and all(_VARIABLE.match(variable.name) for variable in variables)


def add(owner: Any, path: str, index: int, wanted: Formula) -> None:
    """Give a property without a driver one; its data-block is ``owner``."""
    if owner.animation_data is None:
        owner.animation_data_create()
    curve = owner.animation_data.drivers.new(path, index=index)
    curve.keyframe_points.clear()  # Blender puts two there, from (0, 0) to (1, 1), and makes 0 of what is below 1e-4
    write(curve, wanted)


def write(curve: Any, wanted: Formula) -> None:
    """Have a driver work out what is wanted; what is so already is not touched, or Blender would sort all anew."""
    driver, variables = curve.driver, curve.driver.variables
    while len(variables) > len(wanted.variables):
        variables.remove(variables[len(variables) - 1])
    while len(variables) < len(wanted.variables):
        number = len(variables)
        variables.new().name = f"ff{number}"
    for variable, place in zip(variables, wanted.variables, strict=True):
        reads = "SINGLE_PROP" if isinstance(place, Place) else "TRANSFORMS"
        if variable.type != reads:
            variable.type = reads
        target = variable.targets[0]
        if isinstance(place, Channel):
            _read_channel(target, place)
            continue
        owner, path = _read_from(place)
        if target.id != owner:
            target.id_type = owner.id_type
            target.id = owner
        if target.data_path != path:
            target.data_path = path
    kind = "SCRIPTED" if wanted.expression else "SUM"
    if driver.type != kind:
        driver.type = kind
    if wanted.expression and driver.expression != wanted.expression:
        driver.expression = wanted.expression


def _read_from(place: Place) -> tuple[Any, str]:
    """What a driver reads a place from: shape keys by way of their mesh, for files that link a character lose drivers
    that read shape keys themselves."""
    if place.owner.id_type == "KEY":
        return place.owner.user, f"shape_keys.{place.path}"
    return place.owner, place.path


def _read_channel(target: Any, channel: Channel) -> None:
    mode = "QUATERNION" if channel.quaternion else axes.EYE_EULER_ORDER
    wanted = {
        "id": channel.owner,
        "bone_target": channel.bone,
        "transform_type": channel.kind,
        "transform_space": "LOCAL_SPACE",
        "rotation_mode": mode,
    }
    for name, value in wanted.items():
        if getattr(target, name) != value:
            setattr(target, name, value)
