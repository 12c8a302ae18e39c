"""How often, and when, a backend that ended unasked is started again. Knows nothing of bpy."""

from __future__ import annotations

WINDOW_SECONDS = 600.0
DELAYS = (0.5, 5.0, 20.0)
"""Seconds before each start within ``WINDOW_SECONDS``; after the last there is none: whatever ends it would again."""


class Restarts:
    """The starts that one backend was given after ends of its own; times are those of ``time.monotonic``."""

    def __init__(self) -> None:
        self._starts: list[float] = []

    def plan(self, now: float) -> float | None:
        """When to start it, which has just ended, again; None where that was done too often."""
        self._starts = [start for start in self._starts if now - start < WINDOW_SECONDS]
        if self.exhausted:
            return None
        self._starts.append(now + DELAYS[len(self._starts)])
        return self._starts[-1]

    @property
    def exhausted(self) -> bool:
        """True where the next end is the last."""
        return len(self._starts) >= len(DELAYS)
