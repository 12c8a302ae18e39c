"""A source in a thread of its own, of which only the newest picture is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from backend.live.types import LivePicture

Arriving = tuple[float, NDArray[np.uint8]]
"""A picture (H,W,3) RGB as it arrives, and its moment in seconds since the first by the source's clock."""


class NewestPicture:
    """Implements ``PictureSource`` over whatever gives pictures when they are there.

    ``stream`` gets an event that says when to stop, and yields each picture as it arrives; it runs in a thread, from
    the first time that anybody looks on. One picture is held and the next takes its place, looked at or not: nothing
    queues up.
    """

    def __init__(self, name: str, stream: Callable[[threading.Event], Iterator[Arriving]]) -> None:
        self.name = name
        self._stream = stream
        self._changed = threading.Condition()
        self._newest: LivePicture | None = None
        self._error: Exception | None = None
        self._over = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live source", daemon=True)
        self._begun = False

    def latest(self, after: int, patience: float) -> LivePicture | None:
        """See ``PictureSource``."""
        with self._changed:
            if not self._begun:
                self._begun = True
                self._thread.start()
            self._changed.wait_for(lambda: self._over or self._is_newer(after), patience)
            if self._is_newer(after):
                return self._newest
            if self._error is not None:
                raise self._error
            return None

    @property
    def ended(self) -> bool:
        """See ``PictureSource``."""
        with self._changed:
            return self._over and self._error is None

    def close(self) -> None:
        """See ``PictureSource``; waits for a picture that is being read, 2 seconds at most: a camera may hang."""
        self._stop.set()
        with self._changed:
            begun, self._begun = self._begun, True
        if begun:
            self._thread.join(timeout=2.0)
        else:
            self._thread.start()  # which lets go of what is open
            self._thread.join(timeout=2.0)

    def _is_newer(self, after: int) -> bool:
        return self._newest is not None and self._newest.number > after

    def _run(self) -> None:
        error: Exception | None = None
        try:
            for number, (moment, picture) in enumerate(self._stream(self._stop), start=1):
                with self._changed:
                    self._newest = LivePicture(number, moment, time.perf_counter(), picture)
                    self._changed.notify_all()
                if self._stop.is_set():
                    break
        except Exception as raised:
            error = raised
        with self._changed:
            self._error, self._over = error, True
            self._changed.notify_all()
