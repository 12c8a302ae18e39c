"""The cursor that says: wait, this takes seconds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def waiting(context: Any) -> Iterator[None]:
    """Blender's wait cursor while something is done; nothing where there is no window."""
    if context.window is None:
        yield
        return
    context.window.cursor_set("WAIT")
    try:
        yield
    finally:
        context.window.cursor_set("DEFAULT")
