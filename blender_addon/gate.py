"""A place at which a thread of the add-on stands still while Blender's main thread must be alone."""

from __future__ import annotations

import threading


class Gate:
    """Where a thread waits while the main thread wants no other to touch a Python object."""

    def __init__(self) -> None:
        self._closed, self._reached, self._opened = threading.Event(), threading.Event(), threading.Event()

    def close(self) -> None:
        """Have the thread wait at its next ``pass_through``."""
        self._reached.clear()
        self._opened.clear()
        self._closed.set()

    def wait_until_reached(self, seconds: float) -> bool:
        """Wait at most so long for the thread to be waiting; returns whether it is."""
        return self._reached.wait(seconds)

    def open(self) -> None:
        """Let the thread go on."""
        self._closed.clear()
        self._opened.set()

    def pass_through(self) -> None:
        """The thread's side: wait here while the gate is closed."""
        if self._closed.is_set():
            self._reached.set()
            self._opened.wait()
