"""Decoding beside the work that needs the pictures."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar, cast

from backend.memory import at_once

T = TypeVar("T")


def prefetch(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """Iterate ``items`` in a thread of its own, at most ``depth`` ahead of the consumer (fewer where memory is scarce).

    Order and exceptions are those of ``items``. Closing the iterator (or leaving a ``for`` loop and dropping it) stops
    the thread and waits for it, so no file stays open.
    """
    waiting: queue.Queue[tuple[str, object]] = queue.Queue(maxsize=at_once(depth))
    stop = threading.Event()

    def put(kind: str, value: object) -> bool:
        while not stop.is_set():
            try:
                waiting.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise cast(BaseException, value)
            yield cast(T, value)
    finally:
        stop.set()
        thread.join()
