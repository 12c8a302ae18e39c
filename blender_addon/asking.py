"""One request and its answer, waited for: for scripts, which have no user interface to keep alive."""

from __future__ import annotations

import time
from dataclasses import replace

from .client import NOT_RUNNING, Client, Connection, ConnectionEvent
from .codes import ClientCode
from .vendor import messages as m


class RequestFailed(Exception):  # noqa: N818 - read by callers as a sentence, not as a defect
    """A request was answered by an Error; ``problem`` is that message."""

    def __init__(self, problem: m.Error) -> None:
        super().__init__(f"{problem.message} {problem.hint}".strip())
        self.problem = problem


def ask(client: Client, message: m.Message, *, timeout: float) -> m.Message:
    """Send a request once connected and wait for its reply.

    Raises:
        RequestFailed: the backend answered with an Error, refused the connection or did not answer in ``timeout`` s.
    """
    request: int | None = None
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        for event in client.poll():
            if isinstance(event, ConnectionEvent):
                if event.state is Connection.REFUSED:
                    raise RequestFailed(m.Error(ClientCode.WRONG_PEER, event.sentence))
                if event.state is Connection.CONNECTED and request is None:
                    request = client.send(message)
            elif event.request == request:
                if isinstance(event.message, m.Error):
                    raise RequestFailed(event.message)
                return event.message
        time.sleep(0.005)
    if request is None:
        raise RequestFailed(replace(NOT_RUNNING, hint=f"Nobody answers at {client.endpoint}."))
    raise RequestFailed(
        m.Error(ClientCode.NO_ANSWER, f"The backend at {client.endpoint} did not answer in {timeout:.0f} s.")
    )
