"""How much memory work may take: as much as is usual, or less, where a job has run out of it before.

Whatever bounds its memory by doing few things at once asks here how many. The answer changes no result beyond rounding,
but for takes so long that they are then solved in windows (``backend.fitting.windows``).
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_SMALLER: ContextVar[int] = ContextVar("smaller", default=0)

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4  # mallopt's, of glibc's malloc.h
_NEVER = -1
_PAD = 256 << 20  # bytes

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


def keep_freed_memory() -> None:
    """Have this process keep memory that it frees, for a loop that asks for the same hundreds of megabytes each time.

    glibc gives large pieces back at once, and the system clears them anew: half of the time of a training step. Nothing
    elsewhere than on Linux with glibc.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD)):
            mallopt(option, value)


def give_back_freed_memory() -> None:
    """Hand the system the pages that lie free in this process's heap; nothing where that is not glibc's.

    What stays small and long among what is large and soon freed leaves holes: a backend that got 210 jobs into its
    queue among 50,000 wrong messages had grown by 14.4 MB, and by 1.9 after this.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
