"""How quickly a session goes: poses a second, milliseconds of each, and what each stage takes of a core."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

WINDOW = 1.0
"""Seconds that the figures speak of."""
MOST = 1000
"""Poses in a window: a clock that stands still must not fill the memory."""


class Meter:
    """Figures of the last second, and sums over the session of each stage's CPU seconds (of this thread alone)."""

    def __init__(self) -> None:
        self._poses: deque[tuple[float, float]] = deque(maxlen=MOST)
        self.cpu_seconds: dict[str, float] = {}
        self.poses = self.dropped = 0

    def pose(self, now: float, age: float) -> None:
        """A pose was sent ``now``, ``age`` seconds after its picture."""
        self.poses += 1
        self._poses.append((now, age))

    def missed(self, pictures: int) -> None:
        """So many pictures were not looked at."""
        self.dropped += max(0, pictures)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Within it, what this thread works counts for a stage."""
        began = time.thread_time()
        try:
            yield
        finally:
            self.cpu_seconds[name] = self.cpu_seconds.get(name, 0.0) + time.thread_time() - began

    def figures(self, now: float) -> tuple[float, float]:
        """Poses a second over the last one, and their median age in milliseconds."""
        while self._poses and self._poses[0][0] < now - WINDOW:
            self._poses.popleft()
        if not self._poses:
            return 0.0, 0.0
        return len(self._poses) / WINDOW, 1e3 * float(np.median([age for _, age in self._poses]))
