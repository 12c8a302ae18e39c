"""Codes of what goes wrong on the add-on's side."""

from __future__ import annotations

from enum import StrEnum


class ClientCode(StrEnum):
    """Codes of errors that the add-on makes itself, beside those that a backend sends."""

    BACKEND_NOT_RUNNING = "backend_not_running"
    CONNECTION_LOST = "connection_lost"
    NO_ANSWER = "no_answer"
    WRONG_PEER = "wrong_peer"


UNHEARD = frozenset({ClientCode.CONNECTION_LOST, ClientCode.BACKEND_NOT_RUNNING, ClientCode.WRONG_PEER})
"""They say that a request did not reach a backend, or its answer did not come back, and nothing of the request."""
