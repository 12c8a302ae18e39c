"""The list of jobs: the newest of them, each state read once and not again before it changes, always fit to travel."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from backend.errors import UserError
from backend.server.jobs import STATE, JobStore
from backend.server.reading_link import FileState
from backend.server.storage import folder_size
from protocol.messages import JobStatus

MAX_LISTED = 200
MAX_KEPT = 20_000  # states that are kept in memory, of about 1 kB each

BOUNDS = {"name": 240, "stage": 240, "footage": 1024, "created": 40, "kind": 64, "owner": 64}
"""Bytes that the texts of a listed job may take; with the next three, 200 jobs have 730 kB of the 1 MB of a header."""
CODE_BYTES, MESSAGE_BYTES, HINT_BYTES = 64, 1024, 512


def shorten(text: str, size: int) -> str:
    """A text of at most ``size`` bytes (UTF-8), with an ellipsis at its end where it was longer."""
    data = text.encode("utf-8", "replace")
    if len(data) <= size:
        return data.decode()
    return data[: size - len("…".encode())].decode("utf-8", "ignore") + "…"


def bounded(status: JobStatus) -> JobStatus:
    """A state whose texts are short enough for a list."""
    texts: dict[str, Any] = {name: shorten(getattr(status, name), size) for name, size in BOUNDS.items()}
    problem = status.problem
    if problem is not None:
        problem = dataclasses.replace(
            problem,
            code=shorten(problem.code, CODE_BYTES),
            message=shorten(problem.message, MESSAGE_BYTES),
            hint=shorten(problem.hint, HINT_BYTES),
        )
    return dataclasses.replace(status, problem=problem, **texts)


class JobLists:
    """Lists of the jobs of a store; ``opening`` is called before a state is read, and may refuse by a UserError."""

    def __init__(self, store: JobStore, opening: Callable[[Path], None]) -> None:
        self._store, self._opening = store, opening
        self._known: dict[str, tuple[FileState, JobStatus | None]] = {}

    def latest(self, limit: int, live: Sequence[JobStatus] = (), owner: str | None = None) -> tuple[JobStatus, ...]:
        """The newest ``limit`` jobs, newest first, ``live`` ones as they are given; with ``owner``, that one's only.

        A damaged one is left out, and one whose state is read here is read once and again where it changed.
        """
        found: list[JobStatus] = []
        for status in self._newest({status.job_id: status for status in live}):
            if owner is None:
                found.append(bounded(status))
            elif status.owner == owner:  # the folders of this machine are nobody else's business
                found.append(bounded(dataclasses.replace(status, footage=Path(status.footage).name)))
            if len(found) >= limit:
                break
        return tuple(found)

    def _newest(self, live: dict[str, JobStatus]) -> Iterator[JobStatus]:
        names = self._store.names()
        for gone in self._known.keys() - set(names) if len(self._known) > MAX_KEPT else ():
            del self._known[gone]
        for name in sorted({*names, *live}, reverse=True):
            status = live.get(name) or self._state(name)
            if status is not None:
                yield status

    def _state(self, job_id: str) -> JobStatus | None:
        folder = self._store.root / job_id
        file = FileState.of(folder / STATE)
        known = self._known.get(job_id)
        if known is not None and known[0] == file:
            return known[1]
        status: JobStatus | None = None
        try:
            self._opening(folder / STATE)
            status = bounded(self._store.load(job_id))
        except UserError:
            pass
        if status is not None and status.finished and not status.bytes:
            status = dataclasses.replace(status, bytes=folder_size(folder))
        self._known[job_id] = (file, status)
        return status
