"""A session and its outlet, until the end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from backend.live.types import Outlet, Session
from protocol.live import LiveCommand, LiveVerb
from protocol.message import Message


def run_session(session: Session, outlet: Outlet) -> None:
    """Run until the source ends, the client asks for the end, or Ctrl-C does; a second Ctrl-C interrupts.

    Raises:
        UserError: what the session raises.
    """
    with _ctrl_c_ends(outlet) as heeding:
        session.run(heeding)


class _Ending:
    """An outlet that asks for the session's end once the user did."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self.asked = False

    def send(self, message: Message) -> None:
        """See ``Outlet``."""
        self._outlet.send(message)

    def command(self) -> LiveCommand | None:
        """See ``Outlet``."""
        if self.asked:
            self.asked = False
            return LiveCommand(LiveVerb.END)
        return self._outlet.command()


@contextmanager
def _ctrl_c_ends(outlet: Outlet) -> Iterator[_Ending]:
    """While it lasts, in the main thread, the first Ctrl-C asks the session to end, so that a recording is whole."""
    heeding = _Ending(outlet)
    if threading.current_thread() is not threading.main_thread():
        yield heeding
        return

    def ask(_number: int, _frame: Any) -> None:
        heeding.asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield heeding
    finally:
        signal.signal(signal.SIGINT, before)
