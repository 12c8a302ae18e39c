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

    def __init__(
        self, name: str, stream: Callable[[threading.Event], Iterator[Arriving]], gap: float | None = None
    ) -> None:
        """``gap`` is how many seconds lie between the last picture and the first of a ``stream`` that begins anew; None
        where there is but one, as of a camera."""
        self.name = name
        self._stream, self._gap = stream, gap
        self._last = 0, 0.0  # number and time of the newest picture, whatever became of it
        self._changed = threading.Condition()
        self._newest: LivePicture | None = None
        self._error: Exception | None = None
        self._over = False
        self._set_up()

    def _set_up(self) -> None:
        self._begun = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="live source", daemon=True)

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

    def again(self) -> int | None:
        """See ``PictureSource``."""
        if self._gap is None:
            return None
        self.close()
        with self._changed:
            self._newest, self._error, self._over = None, None, False
            self._set_up()
            return self._last[0]

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

    def _run(self, stop: threading.Event) -> None:
        error: Exception | None = None
        first, began = self._last
        began += (self._gap or 0.0) if first else 0.0
        try:
            for number, (moment, picture) in enumerate(self._stream(stop), start=first + 1):
                with self._changed:
                    if stop is not self._stop:  # it hung, and another has begun since
                        return
                    self._newest = LivePicture(number, began + moment, time.perf_counter(), picture)
                    self._last = number, began + moment
                    self._changed.notify_all()
                if stop.is_set():
                    break
        except Exception as raised:
            error = raised
        with self._changed:
            if stop is self._stop:
                self._error, self._over = error, True
                self._changed.notify_all()
