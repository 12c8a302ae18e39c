"""Formulas of the parts of one property, each with the variables that its own text needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..drivers import Channel, Formula
from ..source import Place

_NAME = re.compile(r"\bff(\d+)\b")


def formulas_of(names: Sequence[str], texts: Sequence[str], variables: Sequence[Place | Channel]) -> dict[str, Formula]:
    """A formula for each name, of its text over ff0, ff1, …, which stand for ``variables``.

    One that needs no variable keeps the first: by the names of variables a driver is known as one of a take.
    """
    found = {}
    for name, text in zip(names, texts, strict=True):
        used = sorted({int(number) for number in _NAME.findall(text)}) or [0]
        renamed = _NAME.sub(lambda match, used=used: f"ff{used.index(int(match[1]))}", text)  # type: ignore[misc]
        found[name] = Formula(renamed, tuple(variables[index] for index in used))
    return found
