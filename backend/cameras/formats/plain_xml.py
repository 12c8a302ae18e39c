"""The XML that OpenCV's FileStorage writes, as plain values. Document types, and with them entities, are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from backend.cameras.formats.plain import MAX_DEPTH, MAX_VALUES, Fault, plain_scalar, too_deep, too_many, twice

ROOT = "opencv_storage"
ITEM = "_"
"""The name of an element that is an item of a list."""
_TOKEN = re.compile(r'"([^"]*)"|([^\s"]+)|(")')


@dataclass(eq=False)
class _Element:
    name: str
    text: list[str] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    nested: bool = False


def parse_opencv_xml(text: str) -> Any:
    """The value of an ``opencv_storage`` element.

    Raises:
        Fault: it is not such XML, has a document type, has a name twice in a map, or is too deep or large.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.document_type
    try:
        parser.Parse(re.sub(r"\A\s+(?=<\?xml)", "", text), True)
    except expat.ExpatError as error:
        raise Fault(f"it is not YAML or XML as OpenCV writes it ({error})") from error
    return reader.value


class _Reader:
    def __init__(self) -> None:
        self.value: Any = None
        self._open: list[_Element] = []
        self._values = 0

    def start(self, name: str, _: dict[str, str]) -> None:
        if not self._open and name != ROOT:
            raise Fault(f"it is XML of another kind: its root is <{name[:60]}>, not <{ROOT}>")
        if len(self._open) > MAX_DEPTH:
            raise too_deep()
        if self._open:
            self._flush(self._open[-1])
        self._open.append(_Element(name))
        self._count()

    def end(self, _: str) -> None:
        closed = self._open.pop()
        self._flush(closed)
        value = self._value(closed)
        if not self._open:
            self.value = value
            return
        parent = self._open[-1]
        parent.nested = True
        if closed.name == ITEM:
            parent.items.append(value)
        elif closed.name in parent.fields:
            raise twice(closed.name)
        else:
            parent.fields[closed.name] = value

    def characters(self, text: str) -> None:
        self._open[-1].text.append(text)

    def document_type(self, *_: Any) -> None:
        raise Fault("it has a document type (<!DOCTYPE …>), which OpenCV's files have not")

    def _flush(self, element: _Element) -> None:
        for match in _TOKEN.finditer("".join(element.text)):
            quoted_text, word, stray = match.groups()
            if stray:
                raise Fault(f"a quotation mark in <{element.name[:60]}> is not closed")
            self._count()
            element.items.append(quoted_text if word is None else plain_scalar(word))
        element.text.clear()

    def _value(self, element: _Element) -> Any:
        if element.fields and element.items:
            raise Fault(f"<{element.name[:60]}> mixes named and nameless values")
        if element.fields or not element.items:
            return element.fields or None
        return element.items if element.nested or len(element.items) > 1 else element.items[0]

    def _count(self) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise too_many()
