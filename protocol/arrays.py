"""Arrays of a dataclass, declared once where they are annotated; file, wire and scene read the declaration.

``gaze: Annotated[NDArray[np.float32], shaped("T", 2, 2)]`` declares one: the dtype is the annotation's, a text in the
shape names a size that all arrays of that name share (T frames). A field that may be left out has ``left_out`` as its
default_factory and its class calls ``fill_left_out`` in ``__post_init__``. All errors name the array, what came and
what was expected.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .codec import Arrays, ProtocolError
from .codes import ProtocolCode
from .fields import to_plain, unaliased

D = TypeVar("D")
FRAMES = "T"
"""The size that counts a take's frames."""

LARGEST = 1e12
"""No number of a take is larger: not seconds, pixels, metres or frames."""

Shape = tuple[int | str, ...]
Sizes = dict[str, int]
"""The named sizes, as far as known: the first array of a size decides it."""
_ABSENT = np.zeros(0)
_ABSENT.flags.writeable = False
Index = slice | NDArray[np.integer[Any]] | NDArray[np.bool_]


@dataclass(frozen=True)
class Property:
    """A custom property of the take's armature, keyed with an array (T,) over the take's frames.

    ``{view}`` in name and description stands for the view whose camera has the array. ``untracked`` is keyed on frames
    in which no face was found; where it is None, frames without a number (NaN) get no key. ``no_picture`` is keyed in
    place of it on frames of which there is no picture, as the head at rest before photographs is.
    """

    name: str
    description: str
    lowest: float = 0.0
    untracked: float | None = None
    no_picture: float | None = None


@dataclass(frozen=True)
class Shaped:
    """An array's declaration, see ``shaped``."""

    shape: Shape
    fill: float | None
    finite: bool
    since: int
    keyed: Property | None
    largest: float


@dataclass(frozen=True, kw_only=True)
class Array(Shaped):
    """A declared array of a dataclass; ``dtype`` is little-endian, ``optional`` says that it may be left out."""

    name: str
    dtype: np.dtype[Any]
    optional: bool


@dataclass(frozen=True)
class Counts:
    """Declares that a tuple's length is the named size."""

    size: str


def shaped(
    *shape: int | str,
    fill: float | None = None,
    finite: bool = True,
    since: int = 1,
    keyed: Property | None = None,
    largest: float = LARGEST,
) -> Shaped:
    """Declare an array, within ``Annotated``.

    ``fill`` is the value throughout of an array that was left out; without one, leaving it out means that there is
    nothing: one of its sizes is 0. ``finite`` refuses NaN and infinity, and what lies beyond ``largest`` on either side
    of 0: numbers that no fit finds and nobody could draw. ``since`` is the version of the track's file
    that holds it first; a new array takes the next number. ``keyed`` shows an array (T,) in the scene.
    """
    return Shaped(shape, fill, finite, since, keyed, largest)


def left_out() -> NDArray[Any]:
    """The ``default_factory`` of a declared array that may be left out."""
    return _ABSENT


def declared(cls: type[Any]) -> Mapping[str, Array]:
    """The declared arrays of a dataclass by field name, in order.

    Raises:
        TypeError: the dataclass has an array that is not declared.
    """
    return _declarations(typing.cast(Any, cls))[0]


def keyed(cls: type[Any]) -> dict[str, Property]:
    """The custom properties of a dataclass's declared arrays, by field name."""
    return {name: array.keyed for name, array in declared(cls).items() if array.keyed is not None}


def newest(*classes: type[Any]) -> int:
    """The file version that first holds all declared arrays of some dataclasses."""
    return max(array.since for cls in classes for array in declared(cls).values())


def fill_left_out(value: Any) -> None:
    """Give the arrays of a new, frozen dataclass that were left out their fill; those without one become empty.

    An empty array counts as left out. One that would need numbers nobody gave stays as it is, for ``check`` to refuse.
    """
    arrays = declared(type(value))
    sizes = {size: len(getattr(value, name)) for name, size in _counting(value).items()}
    missing = [a for a in arrays.values() if a.optional and not np.size(getattr(value, a.name))]
    for array in arrays.values():
        if array not in missing:
            for size, count in zip(array.shape, np.shape(getattr(value, array.name)), strict=False):
                if isinstance(size, str):
                    sizes.setdefault(size, count)
    for array in missing:
        shape = [sizes.get(size, 0) if isinstance(size, str) else size for size in array.shape]
        if array.fill is not None or 0 in shape:
            object.__setattr__(value, array.name, np.full(shape, array.fill or 0, array.dtype))


def check(value: Any, sizes: Sizes, prefix: str = "") -> None:
    """Hold a dataclass's arrays against their declarations and the ``sizes`` known so far, to which theirs are added.

    Raises:
        ProtocolError: ``bad_take`` naming the array, with ``prefix`` before its name.
    """
    for name, size in _counting(value).items():
        count = len(getattr(value, name))
        if sizes.setdefault(size, count) != count:
            raise ProtocolError(
                ProtocolCode.BAD_TAKE, f"“{prefix}{name}” has {count} entries, expected {size} = {sizes[size]}."
            )
    for array in declared(type(value)).values():
        data = getattr(value, array.name)
        if data is _ABSENT:
            raise ProtocolError(ProtocolCode.BAD_TAKE, f"“{prefix}{array.name}” is missing.")
        _check_shape(array, data, sizes, prefix)
        if array.finite and not np.isfinite(data).all():
            raise ProtocolError(ProtocolCode.BAD_TAKE, f"“{prefix}{array.name}” holds a number that is not finite.")
        if array.finite and data.dtype.kind in "fi" and data.size and _peak(data) > array.largest:
            sentence = f"“{prefix}{array.name}” holds {_peak(data):g}, which is beyond {array.largest:g}."
            raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)


def _peak(data: NDArray[Any]) -> float:
    """The largest number, by its size."""
    return max(float(data.max()), -float(data.min()))


def pick(
    cls: type[Any], arrays: Mapping[str, NDArray[Any]], sizes: Sizes, prefix: str = "", version: int | None = None
) -> Arrays:
    """Of what came, the arrays that a dataclass declares: those called ``prefix`` and a field's name, by field name.

    Their types and sizes are right, so that filling in others cannot take more memory than they do. Without a
    ``version``, optional ones may be left out; a file of a version has all arrays of its time, and no later one counts.

    Raises:
        ProtocolError: ``bad_take`` naming the array that is missing or not as declared.
    """
    found = {}
    for array in declared(cls).values():
        if version is not None and array.since > version:
            continue
        data = arrays.get(prefix + array.name)
        if data is not None:
            _check_shape(array, data, sizes, prefix)
            found[array.name] = data
        elif version is not None or not array.optional:
            raise ProtocolError(ProtocolCode.BAD_TAKE, f"“{prefix}{array.name}” is missing.")
    return found


def gather(value: Any, prefix: str = "") -> Arrays:
    """A dataclass's declared arrays, called ``prefix`` and their field's name."""
    return {prefix + name: getattr(value, name) for name in declared(type(value))}


def plain_fields(value: Any) -> dict[str, Any]:
    """A dataclass's fields for a header: all but its arrays and the dataclasses within, which are written apart.

    Raises:
        ProtocolError: ``bad_field`` for what cannot travel in a header.
    """
    arrays = declared(type(value))
    mine = {item.name: getattr(value, item.name) for item in dataclasses.fields(value) if item.name not in arrays}
    return {name: to_plain(field) for name, field in mine.items() if not _dataclasses_in(field)}


def cast(value: D) -> D:
    """The same with every array in its declared dtype, those of dataclasses within too; copies only what changes."""
    return _map(value, lambda array, data: np.asarray(data, array.dtype))


def at_frames(value: D, frames: Index) -> D:
    """The same at some frames only, in their order: along every axis T, in dataclasses within too."""

    def select(array: Array, data: NDArray[Any]) -> NDArray[Any]:
        for axis, size in enumerate(array.shape):
            if size == FRAMES:
                data = data[(slice(None),) * axis + (frames,)]
        return data

    return _map(value, select)


def _map(value: D, change: Callable[[Array, NDArray[Any]], NDArray[Any]]) -> D:
    arrays = declared(type(value))
    changed: dict[str, Any] = {}
    for item in dataclasses.fields(value):  # type: ignore[arg-type]
        field = getattr(value, item.name)
        if item.name in arrays:
            changed[item.name] = change(arrays[item.name], field) if field is not _ABSENT else field
        elif _dataclasses_in(field):
            changed[item.name] = (
                tuple(_map(f, change) for f in field) if isinstance(field, tuple) else _map(field, change)
            )
    return dataclasses.replace(value, **changed)  # type: ignore[type-var]


def _check_shape(array: Array, data: NDArray[Any], sizes: Sizes, prefix: str) -> None:
    name, expected = prefix + array.name, f"({', '.join(map(str, array.shape))})"
    if data.dtype != array.dtype or data.ndim != len(array.shape):
        sentence = f"“{name}” is {data.dtype} {data.shape}, expected {array.dtype} {expected}."
        raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)
    for wanted, got in zip(array.shape, data.shape, strict=True):
        if got != (sizes.setdefault(wanted, got) if isinstance(wanted, str) else wanted):
            known = ", ".join(
                f"{size} = {sizes[size]}" for size in array.shape if isinstance(size, str) and size in sizes
            )
            sentence = f"“{name}” has shape {data.shape}, expected {expected}{f' with {known}' if known else ''}."
            raise ProtocolError(ProtocolCode.BAD_TAKE, sentence)


@functools.cache
def _declarations(cls: type[Any]) -> tuple[Mapping[str, Array], Mapping[str, str]]:
    """The arrays of a dataclass, and the sizes that its tuples count, by field name."""
    hints = typing.get_type_hints(cls, include_extras=True)
    arrays: dict[str, Array] = {}
    counts: dict[str, str] = {}
    for item in dataclasses.fields(cls):
        annotated = typing.get_origin(hints[item.name]) is typing.Annotated
        written, *extras = typing.get_args(hints[item.name]) if annotated else (hints[item.name],)
        hint = unaliased(written)
        for extra in extras:
            if isinstance(extra, Counts):
                counts[item.name] = extra.size
        if typing.get_origin(hint) is np.ndarray:
            shape = next((extra for extra in extras if isinstance(extra, Shaped)), None)
            if shape is None:
                raise TypeError(f"{cls.__name__}.{item.name} is an array without a declaration")
            dtype = np.dtype(typing.get_args(typing.get_args(hint)[1])[0]).newbyteorder("<")
            optional = item.default_factory is not dataclasses.MISSING
            arrays[item.name] = Array(name=item.name, dtype=dtype, optional=optional, **vars(shape))
    return arrays, counts


def _counting(value: Any) -> Mapping[str, str]:
    return _declarations(typing.cast(Any, type(value)))[1]


def _dataclasses_in(field: Any) -> bool:
    return dataclasses.is_dataclass(field) or (
        isinstance(field, tuple) and bool(field) and all(dataclasses.is_dataclass(item) for item in field)
    )
