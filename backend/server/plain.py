"""Text of others made plain: whatever a name, a path or a program says, it stays one line and changes no other."""

from __future__ import annotations

import unicodedata

MAX_LINE = 2000  # letters, of which the end is kept, too: a path's most telling part
KEPT_END = 200
MAX_LINES = 200
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of what is no letter to see: control codes (ANSI's begin with one), letters that turn the
direction of the text or have no width, halves of surrogate pairs, letters that nobody has defined, line separators."""


def plain(text: str, limit: int = MAX_LINE) -> str:
    """One line that can be shown anywhere: what is no visible letter becomes its escape, a long text is shortened."""
    if len(text) > limit:
        cut = len(text) - limit
        text = f"{text[: limit - KEPT_END]}…({cut} letters left out)…{text[-KEPT_END:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(letter) if unicodedata.category(letter) in _ESCAPED else letter for letter in text)


def plain_lines(text: str, limit: int = MAX_LINES) -> list[str]:
    """The lines of a text, each plain; of more than ``limit`` the first and the last."""
    lines = text.split("\n")
    if len(lines) > limit:
        lines = [*lines[: limit // 2], f"({len(lines) - limit} lines left out)", *lines[-(limit - limit // 2) :]]
    return [plain(line.rstrip("\r")) for line in lines]


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii")
