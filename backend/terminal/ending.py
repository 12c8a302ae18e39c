"""Signals that ask a command to end, made what Ctrl-C is: the command tidies up, and its exit status names the signal.

As they are, SIGTERM (a system that shuts down, a job scheduler) and SIGHUP (a terminal that was closed) end a process
at once, and its job would go on without it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = ("SIGTERM", "SIGHUP", "SIGBREAK")  # those that a system has
INTERRUPTED = 130  # exit status after Ctrl-C, as shells have it: 128 and the signal

_received: list[int] = []


@contextlib.contextmanager
def ending_interrupts() -> Iterator[None]:
    """While the block lasts, a signal that asks this process to end raises KeyboardInterrupt in its main thread.

    One that is ignored (``nohup``) or that somebody handles already stays as it is; so does all in another thread.
    """
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
                if signal.getsignal(number) is signal.SIG_DFL:
                    signal.signal(number, _interrupt)
                    stack.callback(signal.signal, number, signal.SIG_DFL)
        yield


def interrupted_status() -> int:
    """The exit status of a command that was interrupted."""
    return 128 + _received[0] if _received else INTERRUPTED


def _interrupt(number: int, _frame: Any) -> None:
    _received.append(number)
    if number == getattr(signal, "SIGHUP", None):
        _forget_terminal()
    raise KeyboardInterrupt


def _forget_terminal() -> None:
    """Write nowhere from now on instead of to a terminal that is gone, where it would raise OSError."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            # one that is gone says no more that it is a terminal
            if stream is not None and stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
