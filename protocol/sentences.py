"""Sentences for users, of whom some name files: nothing that a name brings may steer a terminal or forge a log."""

from __future__ import annotations

import re

_UNSAYABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls of terminals, ends of lines, turns of the writing's direction, and halves of characters."""


def sayable(text: str) -> str:
    """The text in one line, with a replacement character for what is nothing to be said."""
    return _UNSAYABLE.sub("\ufffd", text.replace("\n", " ").replace("\t", " "))
