"""Who is told of which job's progress, and how much of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from backend.server.door import Peer
from protocol import messages as m

Send = Callable[[Peer, m.Message, int], bool]
"""Sends a message under a request's number; False where the client has left."""


def shown_to(peer: Peer, status: m.JobStatus) -> m.JobStatus:
    """A job's state as a client may know it: the folders of this machine are nobody else's business."""
    return status if peer.is_owner else dataclasses.replace(status, footage=Path(status.footage).name)


class Subscriptions:
    """The clients that asked to be told; those that left are forgotten, their job is not."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._of_jobs: dict[str, dict[Peer, int]] = {}

    def add(self, job_id: str, peer: Peer, request: int) -> None:
        """Tell this client of the job from now on."""
        self._of_jobs.setdefault(job_id, {})[peer] = request

    def publish(self, status: m.JobStatus) -> None:
        """Tell the subscribers of a job."""
        subscribers = self._of_jobs.get(status.job_id, {})
        for peer, request in list(subscribers.items()):
            if not self._send(peer, m.Progress(shown_to(peer, status)), request):
                del subscribers[peer]
        if status.finished:
            self._of_jobs.pop(status.job_id, None)
