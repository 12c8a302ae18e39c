"""Options that are declared once: name, help, bounds, choices and default of a field, for every side that asks for it.

A class of options is a frozen dataclass that derives from ``Options`` and declares each option in one field:

    smooth: float = option(1.0, "Smoothness", "How much faster motion costs more.", minimum=0.0, maximum=10.0)

Its validation, the command line's options and Blender's properties and rows come from it.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from .codec import ProtocolError
from .codes import ProtocolCode

WEIGHTS = "weights"
"""What an option needs, without which it means nothing: an aligner that takes weights."""

LARGEST = sys.float_info.max
_METADATA = "option"
_SHOWN = 60  # characters of a wrong value that a sentence shows


@dataclass(frozen=True)
class Choice:
    """One of the values an option may have: ``value`` travels, ``name`` is typed, ``label`` and ``help`` are read.

    A yes or no has choices where it may be left open: what is typed for them are its flags.
    """

    value: str | bool | None
    name: str
    label: str
    help: str = ""


@dataclass(frozen=True)
class About:
    """An option's description for a user, and the bounds of its value.

    ``flag`` is its name on the command line, "" for the field's own. ``minimum`` and ``maximum`` may be reached,
    ``above`` may not. ``path`` says that a text names a file. ``needs`` is "" or ``WEIGHTS``.
    """

    label: str
    help: str
    flag: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    choices: tuple[Choice, ...] = ()
    path: bool = False
    needs: str = ""


@dataclass(frozen=True)
class OptionField:
    """A declared option. ``type`` is float, int, bool or str; ``optional`` ones may be None, which leaves them open."""

    name: str
    type: type[Any]
    optional: bool
    default: Any
    about: About

    @property
    def flag(self) -> str:
        """Its name on the command line, without the dashes."""
        return self.about.flag or self.name.replace("_", "-")

    @property
    def typed_by_name(self) -> bool:
        """Whether one of its choices is typed."""
        return bool(self.about.choices) and self.type is not bool

    def checked(self, value: Any, called: str = "") -> Any:
        """``value`` as the field holds it; raises ProtocolError (``bad_option``) naming the option."""
        about = self.about
        if about.choices:
            right = any(choice.value == value and type(choice.value) is type(value) for choice in about.choices)
        elif value is None:
            right = self.optional
        elif self.type in (float, int):
            right = self._is_number(value)
        else:
            right = isinstance(value, self.type) and (not about.path or (value != "" and "\0" not in value))
        if not right:
            raise self._wrong(self._wanted(), value, called)
        return float(value) if self.type is float and value is not None else value

    def from_name(self, name: str, called: str = "") -> str | bool | None:
        """The value of the choice called ``name``; raises ProtocolError (``bad_option``)."""
        for choice in self.about.choices:
            if choice.name == name:
                return choice.value
        raise self._wrong(_either([choice.name for choice in self.about.choices]), name, called)

    def name_of(self, value: str | bool | None) -> str:
        """The name of the choice that has this value."""
        return next(choice.name for choice in self.about.choices if choice.value == value)

    def _is_number(self, value: Any) -> bool:
        about = self.about
        if isinstance(value, bool) or not isinstance(value, self.type | int) or not abs(value) <= LARGEST:
            return False
        low = about.minimum is None or value >= about.minimum
        high = about.maximum is None or value <= about.maximum
        return low and high and (about.above is None or value > about.above)

    def _wanted(self) -> str:
        about = self.about
        if self.type is bool:
            return "true or false"
        if about.choices:
            return _either([f"“{choice.value}”" for choice in about.choices if choice.value is not None])
        if self.type is str:
            return "a path" if about.path else "text"
        words = "a whole number" if self.type is int else "a number"
        bounds = (("above", about.above), ("of at least", about.minimum), ("of at most", about.maximum))
        said = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return " ".join(filter(None, (words, f"of {about.unit}" if about.unit else "", said)))

    def _wrong(self, wanted: str, value: Any, called: str) -> ProtocolError:
        shown = repr(value)[:_SHOWN]
        return ProtocolError(
            ProtocolCode.BAD_OPTION, f"The option “{called or self.name}” must be {wanted}, not {shown}."
        )


def option(default: Any, label: str, help: str, **about: Any) -> Any:
    """A field of an ``Options`` class; ``about`` are further fields of ``About``."""
    return dataclasses.field(default=default, metadata={_METADATA: About(label, help, **about)})


@dataclass(frozen=True)
class Options:
    """Base of option classes; raises ProtocolError (``bad_option``) where a value is not what its field declares."""

    def __post_init__(self) -> None:
        for item in option_fields(type(self)):
            object.__setattr__(self, item.name, item.checked(getattr(self, item.name)))

    def to_plain(self) -> dict[str, Any]:
        """The options that differ from the defaults, by name: how options travel and are kept."""
        items = option_fields(type(self))
        return {item.name: value for item in items if (value := getattr(self, item.name)) != item.default}

    @classmethod
    def from_plain(cls, data: Any, where: str = "options") -> Self:
        """Options from a map; raises ProtocolError: ``bad_field``, ``unknown_option``, ``bad_option``."""
        if not isinstance(data, Mapping):
            raise ProtocolError(ProtocolCode.BAD_FIELD, f"“{where}” must be a map.")
        known = [item.name for item in option_fields(cls)]
        for name in data:
            if name not in known:
                sentence = f"There is no option “{str(name)[:_SHOWN]}”; there is “{'”, “'.join(known)}”."
                raise ProtocolError(ProtocolCode.UNKNOWN_OPTION, sentence)
        return cls(**data)


def option_fields(cls: type[Options]) -> tuple[OptionField, ...]:
    """The options that a class declares, in their order."""
    return _option_fields(typing.cast(Any, cls))


@functools.cache
def _option_fields(cls: Any) -> tuple[OptionField, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_declared(item, hints[item.name]) for item in dataclasses.fields(cls))


def _declared(item: dataclasses.Field[Any], hint: Any) -> OptionField:
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)] if union else [hint]
    if _METADATA not in item.metadata or len(kinds) != 1 or kinds[0] not in (float, int, bool, str):
        raise TypeError(f"{item.name} is no option: declare a number, a text or a yes or no with option(…)")
    return OptionField(item.name, kinds[0], union, item.default, item.metadata[_METADATA])


def _either(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
