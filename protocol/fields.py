"""Frozen dataclasses to plain maps and back, checking every field's type on the way in."""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from .codec import ProtocolError
from .codes import ProtocolCode

T = TypeVar("T")
MAX_DEPTH = 32
LARGEST_WHOLE = (1 << 63) - 1
SCALARS = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def to_plain(value: Any) -> Any:
    """A value as msgpack carries it: dataclasses become maps, tuples lists, enumerated words text.

    What has a ``to_plain`` says so itself.

    Raises:
        ProtocolError: ``bad_field`` for anything but text, numbers, booleans, None, bytes and nestings of them.
    """
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return fields_to_plain(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, np.integer | np.floating | np.bool_):
        return value.item()
    raise ProtocolError(ProtocolCode.BAD_FIELD, f"A {type(value).__name__} cannot travel as a plain field.")


def fields_to_plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as a map; raises ProtocolError as ``to_plain`` does."""
    return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}


def from_plain(cls: type[T], data: Any, where: str) -> T:
    """Build dataclass ``cls`` from what ``to_plain`` made of it; a class with a ``from_plain`` has its own way.

    Raises:
        ProtocolError: ``bad_field`` naming the field and what was expected, or what the class's own way raises.
    """
    own = getattr(cls, "from_plain", None)
    return own(data, where) if own is not None else fields_from_plain(cls, data, where)


def fields_from_plain(cls: type[T], data: Any, where: str) -> T:
    """Build dataclass ``cls`` from a map; unknown fields are ignored, missing ones take their default.

    Raises:
        ProtocolError: ``bad_field`` naming the field and what was expected.
    """
    if not isinstance(data, Mapping):
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a map.")
    hints = _hints(typing.cast(Any, cls))
    values = {}
    for item in dataclasses.fields(cls):  # type: ignore[arg-type]
        name = f"{where}.{item.name}"
        if item.name in data:
            values[item.name] = _read(hints[item.name], data[item.name], name)
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{name}” is missing.")
    return cls(**values)


@functools.cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def unaliased(hint: Any) -> Any:
    """A type whose name is an alias (``NDArray`` is one from numpy 2.5 on), as the type that it stands for."""
    meant = getattr(typing.get_origin(hint), "__value__", None)
    return hint if meant is None else meant[typing.get_args(hint)]


def _read(hint: Any, value: Any, where: str) -> Any:
    hint = unaliased(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _read(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    if origin is collections.abc.Mapping:
        return _read_mapping(value, where)
    if origin is np.ndarray and isinstance(value, np.ndarray):
        return value
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type[Any], hint)):
            return value
        return from_plain(typing.cast(type[Any], hint), value, where)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _read_word(hint, value, where)
    return _read_scalar(hint, value, where)


def _read_word(hint: type[StrEnum], value: Any, where: str) -> StrEnum:
    try:
        return hint(value)
    except ValueError:
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be one of {', '.join(hint)}.") from None


def _read_tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a list.")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_read(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must have {len(arguments)} entries, not {len(value)}.")
    return tuple(_read(a, item, f"{where}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True)))


def _read_mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a map with text keys.")
    if _depth(value) > MAX_DEPTH:
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” is nested more than {MAX_DEPTH} deep.")
    return dict(value)


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, Mapping | list | tuple)
            for child in (item.values() if isinstance(item, Mapping) else item)
        ]
    return depth


def _read_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            number = math.inf
        if not math.isfinite(number):
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a finite number.")
        return number
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        if not -LARGEST_WHOLE <= value <= LARGEST_WHOLE:
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a whole number of at most 63 bits.")
        return value
    if (hint is str and isinstance(value, str)) or (hint is bool and isinstance(value, bool)):
        return value
    if hint not in SCALARS:
        raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” cannot travel in a header.")
    raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be {SCALARS.get(hint, 'an array')}.")
