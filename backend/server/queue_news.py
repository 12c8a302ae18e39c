"""Who waits is told where it stands: the first of the queue at once, those behind them a few at a time.

A queue of thousands would otherwise make thousands of messages whenever a job ends: a backend with 4,000 jobs in its
queue answered nobody for a second then, and what nobody had read yet took 200 MB (``tests.soak.fuzz``).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

AT_ONCE = 50
"""Jobs told in one go: about 2 ms."""
INTERVAL = 0.25  # seconds between two goes


class QueueNews:
    """``tell`` gets the ids of jobs whose place in the queue may have changed."""

    def __init__(self, tell: Callable[[str], None], interval: float = INTERVAL) -> None:
        self._tell, self._interval = tell, interval
        self._untold: dict[str, None] = {}  # in the order of their turns
        self._due = 0.0

    def changed(self, queue: Iterable[str]) -> None:
        """The queue is now this one."""
        waiting = iter(queue)
        for job_id in itertools.islice(waiting, AT_ONCE):
            self._untold.pop(job_id, None)
            self._tell(job_id)
        self._untold.update(dict.fromkeys(waiting))  # whose turn was near keeps it

    def tick(self) -> None:
        """Tell the next, where it is time."""
        now = time.monotonic()
        if not self._untold or now < self._due:
            return
        self._due = now + self._interval
        for job_id in list(itertools.islice(self._untold, AT_ONCE)):
            del self._untold[job_id]
            self._tell(job_id)
