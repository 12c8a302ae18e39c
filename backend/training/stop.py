"""The wish that a training run ends, from Ctrl+C or SIGTERM. Imports nothing slow, so that it can listen first."""

from __future__ import annotations

import signal
import threading

from backend.errors import Cancelled


class Stop:
    """Turns Ctrl+C and SIGTERM into a wish that the loop heeds at its next step; a second Ctrl+C interrupts at once.

    A context manager. A signal that comes before the loop has begun is remembered until it is asked for.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {sign: signal.signal(sign, self._heard) for sign in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for sign, handler in self._before.items():
            signal.signal(sign, handler)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raises Cancelled once it is wanted."""
        if self.wanted:
            raise Cancelled

    def _heard(self, sign: int, _frame: object) -> None:
        if self.wanted and sign == signal.SIGINT:
            raise KeyboardInterrupt
        self.wanted = True
