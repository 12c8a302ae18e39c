"""All jobs wait while the disk of the jobs folder is full, read-only or gone."""

from __future__ import annotations

import logging
import time

from backend.errors import ErrorCode
from backend.server.jobs import JobStore, in_words
from protocol.messages import Problem

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0  # between looks whether it still is


class DiskPause:
    """Whether jobs wait, and what they are told meanwhile: ``problem``, None while they do not."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._look_at = 0.0
        self.problem: Problem | None = None

    def begin(self, sentence: str) -> None:
        """Have jobs wait, for the reason that ``sentence`` gives."""
        self.problem = Problem(
            ErrorCode.JOBS_FOLDER,
            f"{sentence} The job waits and goes on when it can be.",
            "Free some space, or connect the disk again.",
        )
        self._look_at = time.monotonic() + PAUSE_SECONDS
        log.error("%s Jobs wait.", sentence)

    def goes_on(self) -> bool:
        """Jobs wait; looks every ``PAUSE_SECONDS`` whether they still have to."""
        if self.problem is None:
            return False
        if time.monotonic() < self._look_at:
            return True
        try:
            self._store.probe()
        except OSError as error:
            log.debug("the disk has no room yet: %s", in_words(error))
            self._look_at = time.monotonic() + PAUSE_SECONDS
            return True
        log.info("the jobs folder can be written again; jobs go on")
        self.problem = None
        return False
