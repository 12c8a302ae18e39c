"""The base of everything that add-on and backend say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from .codec import Arrays
from .fields import from_plain, to_plain


class Message:
    """Base of all messages: a ``TYPE`` and the two directions between object and wire."""

    TYPE: ClassVar[str]

    def to_wire(self) -> tuple[dict[str, Any], Arrays]:
        """Plain header fields and arrays of this message."""
        return to_plain(self), {}

    @classmethod
    def from_wire(cls, fields: Mapping[str, Any], arrays: Arrays) -> Self:  # noqa: ARG003 - for those with arrays
        """Build the message; raises ProtocolError naming the field that is wrong."""
        return from_plain(cls, fields, cls.TYPE)
