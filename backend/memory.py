"""How much memory work may take: as much as is usual, or less, where a job has run out of it before.

Whatever bounds its memory by doing few things at once asks here how many. The answer changes no result beyond rounding,
but for takes so long that they are then solved in windows (``backend.fitting.windows``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SMALLER: ContextVar[int] = ContextVar("smaller", default=0)

CPU_FROM = 2
"""The step from which work stays off the graphics card: main memory is what there is more of, mostly."""


@contextmanager
def smaller_steps(steps: int) -> Iterator[None]:
    """Within it, work of this thread takes about half the memory, so many times over."""
    before = _SMALLER.set(max(steps, 0))
    try:
        yield
    finally:
        _SMALLER.reset(before)


def at_once(usual: int) -> int:
    """How many of something to have at once, where ``usual`` is how many that is mostly; 1 at least."""
    return max(1, usual >> _SMALLER.get())


def is_scarce() -> bool:
    """True where memory has run out before."""
    return _SMALLER.get() > 0


def may_use_graphics_card() -> bool:
    """False where the graphics card's memory, or what its driver takes of main memory, has run out before."""
    return _SMALLER.get() < CPU_FROM
