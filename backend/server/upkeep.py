"""What a backend does beside its work: it looks for jobs that lost their backend, and deletes what need not be kept.

In a thread of its own, because a folder of thousands of jobs on a network drive takes seconds to look through. It only
looks; jobs are taken up by whoever asks ``found``.
"""

from __future__ import annotations

import logging
import queue
import threading

from backend.server.jobs import JobStore
from backend.server.retention import KEEP_ALL, Keeper, Retention

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0


class Upkeep:
    """The thread; it runs until ``stop``."""

    def __init__(self, store: JobStore, retention: Retention) -> None:
        self._store = store
        self._found: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._stopping = False
        self._bounded = retention != KEEP_ALL
        self._keeper = Keeper(store, retention, lambda: self._stopping)
        self._errors: set[str] = set()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def found(self) -> list[str]:
        """Ids of jobs that were not over when last looked, this backend's own among them; each look's once."""
        latest: list[str] = []
        while not self._found.empty():
            latest = self._found.get()
        return latest

    def tidy_soon(self) -> None:
        """A job is over: see whether something else has to go, where anything ever has."""
        if self._bounded:
            self._wake.set()

    def stop(self) -> None:
        """End the thread; a deletion that is under way is finished with the process."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout=1.0)

    def _work(self) -> None:
        while not self._stopping:
            try:
                self._found.put(self._store.unfinished())
                self._keeper.tidy()
            except Exception as error:
                if repr(error) not in self._errors:
                    self._errors.add(repr(error))
                    log.exception("looking after the jobs folder failed; it goes on")
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()
