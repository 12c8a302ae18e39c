"""YAML as plain values: ordinary YAML, and the dialect that OpenCV's FileStorage writes.

libyaml's events are put together here, one after the other, without its or PyYAML's composers: those recurse, and they
make objects of tags. Tags are passed over. An alias counts as much as what it stands for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from backend.cameras.formats.plain import MAX_DEPTH, MAX_VALUES, Fault, merged, plain_scalar, too_deep, too_many, twice

MAX_DIRECTIVES = 8
"""libyaml compares each with all before it; ordinary files have one."""
_VERSION = re.compile(r"\A\ufeff?%YAML[: ]1\.\d[ \t]*(?=\r?\n|\Z)")
"""OpenCV writes one with a colon, or of a version that libyaml does not know; nothing here depends on it."""
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class _Part:
    """A value that is complete; ``values`` is how many it is made of, ``height`` how deep they are nested."""

    value: Any
    values: int = 1
    height: int = 0


@dataclass(eq=False)
class _Open:
    """A map or list whose end has not come yet."""

    anchor: str | None
    fields: dict[str, Any] | None
    items: list[Any] = field(default_factory=list)
    key: str | None = None
    values: int = 1
    height: int = 1

    def take(self, part: _Part) -> None:
        self.values += part.values
        self.height = max(self.height, part.height + 1)
        if self.fields is None:
            self.items.append(part.value)
            return
        if self.key is None:
            raise Fault("a key of one of its maps is not text")
        if self.key in self.fields:
            raise twice(self.key)
        self.fields[self.key] = part.value
        self.key = None

    def done(self) -> _Part:
        value: Any = self.items if self.fields is None else merged(self.fields)
        return _Part(value, self.values, self.height)


def parse_yaml(text: str) -> Any:
    """The value of a YAML text of one document.

    Raises:
        Fault: it is not YAML, holds several documents, has a name twice in a map, or is too deep or large.
    """
    text = _VERSION.sub("", text, count=1)
    if sum(1 for _ in _DIRECTIVE.finditer(text)) > MAX_DIRECTIVES:
        raise Fault(f"it has more than {MAX_DIRECTIVES} lines that begin with %")
    try:
        return _Composer().compose(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = "" if place is None else f", line {place.line + 1}"
        raise Fault(f"it is not YAML ({getattr(error, 'problem', None) or 'unreadable characters'}{where})") from error


class _Composer:
    def __init__(self) -> None:
        self._open: list[_Open] = []
        self._known: dict[str, _Part] = {}
        self._values = 0
        self._documents: list[Any] = []

    def compose(self, text: str) -> Any:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(self._open) >= MAX_DEPTH:
                    raise too_deep()
                self._open.append(_Open(event.anchor, {} if isinstance(event, yaml.MappingStartEvent) else None))
                self._count(1)
            elif isinstance(event, yaml.CollectionEndEvent):
                closed = self._open.pop()
                self._put(closed.done(), closed.anchor, counted=True)
            elif isinstance(event, yaml.DocumentStartEvent) and self._documents:
                raise Fault("it holds several YAML documents")
        return self._documents[0] if self._documents else None

    def _scalar(self, event: Any) -> None:
        top = self._open[-1] if self._open else None
        if top is not None and top.fields is not None and top.key is None:
            self._count(1)
            top.key = event.value
            return
        plain = event.style is None or event.style == ""
        self._put(_Part(plain_scalar(event.value) if plain else event.value), event.anchor)

    def _alias(self, event: Any) -> None:
        part = self._known.get(event.anchor)
        if part is None:
            raise Fault(f"it refers to “{event.anchor[:60]}” before that is complete")
        if len(self._open) + part.height > MAX_DEPTH:
            raise too_deep()
        self._put(part, None)

    def _put(self, part: _Part, anchor: str | None, *, counted: bool = False) -> None:
        if not counted:
            self._count(part.values)
        if anchor is not None:
            self._known[anchor] = part
        if self._open:
            self._open[-1].take(part)
        else:
            self._documents.append(part.value)

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise too_many()
