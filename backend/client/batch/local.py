"""Clips tracked by a FlowFace backend: the one that runs, or a private one."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack

from backend.client.batch.executors import Attempt, Ending, Outcome, Running
from backend.client.connection import Client
from backend.client.track import backend_endpoint, write_take
from backend.errors import ErrorCode, UserError
from backend.server.discovery import is_listening
from protocol.messages import RESULT_FILES, JobState, JobStatus, Problem

QUEUED = 3  # jobs at once: the backend is never without one, and few are lost with it
LOST = frozenset({ErrorCode.BACKEND_GONE, ErrorCode.NO_BACKEND, ErrorCode.INTERRUPTED})
CALL_OFF_SECONDS = 5.0  # for a backend that is not there, when the batch ends


class LocalBackend(AbstractContextManager["LocalBackend", None]):
    """An ``Executor``: each clip is an ordinary job, which a thread follows over a connection of its own.

    That connection waits for a backend that dies and comes back; a job that kills its worker is set aside there.
    """

    slots = QUEUED

    def __init__(self, endpoint: str | None = None) -> None:
        """``endpoint`` None uses the backend that runs, else a private one that ends with the batch."""
        self._asked = endpoint
        self._endpoint = ""
        self._stack = ExitStack()
        self._reviving = threading.Lock()
        self._pool = ThreadPoolExecutor(QUEUED, thread_name_prefix="batch")
        self._news: queue.Queue[Running | Outcome | UserError] = queue.Queue()
        self._jobs: dict[str, str] = {}  # clip → id of its job
        self._stopping = False

    def __enter__(self) -> LocalBackend:
        self._endpoint = self._stack.enter_context(backend_endpoint(self._asked))
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(UserError), Client(self._endpoint, patience=CALL_OFF_SECONDS) as client:
            for job_id in [*self._jobs.values()]:
                with contextlib.suppress(UserError):
                    client.cancel(job_id)
        self._pool.shutdown()
        self._stack.close()

    def submit(self, attempt: Attempt) -> None:
        """Hand the clip to the backend's queue."""
        self._pool.submit(self._follow, attempt)

    def wait(self, seconds: float) -> list[Running | Outcome]:
        """News of all clips; raises UserError where the backend is gone for good."""
        news: list[Running | Outcome] = []
        with contextlib.suppress(queue.Empty):
            found = self._news.get(timeout=seconds)
            while True:
                if isinstance(found, UserError):
                    raise found
                news.append(found)
                found = self._news.get_nowait()
        return news

    def _follow(self, attempt: Attempt) -> None:
        """Track a clip from end to end; whatever comes of it is news."""
        endpoint = self._endpoint
        began: list[float] = []

        def tell(status: JobStatus) -> None:
            if status.state is JobState.RUNNING and not began:
                began.append(time.monotonic())
            self._tell(attempt, status)

        try:
            with Client(endpoint) as client:
                reply = client.run(
                    attempt.spec,
                    tell,
                    RESULT_FILES,
                    all_files=attempt.spec.several_faces,
                    token=attempt.token,
                )
            write_take(reply, attempt.folder)
            seconds = round(time.monotonic() - began[0], 2) if began else None
            outcome = Outcome(attempt.name, Ending.DONE, seconds=seconds)
        except UserError as error:
            if error.code == ErrorCode.OUTPUT_UNWRITABLE:
                self._news.put(error)
                return
            ending = Ending.LOST if error.code in LOST else Ending.FAILED
            outcome = Outcome(attempt.name, ending, Problem(error.code, error.message, error.hint))
        except KeyboardInterrupt:  # ``_tell``'s own: the job is cancelled by now
            return
        except Exception as error:  # a thread's end must not leave the batch waiting for it
            self._news.put(
                UserError(ErrorCode.INTERNAL, f"The batch stopped by an error in FlowFace itself: {error!r}.")
            )
            return
        self._jobs.pop(attempt.name, None)
        if outcome.ending is Ending.LOST and not self._revive(endpoint):
            return
        self._news.put(outcome)

    def _tell(self, attempt: Attempt, status: JobStatus) -> None:
        if status.job_id:
            self._jobs[attempt.name] = status.job_id
        if self._stopping:
            raise KeyboardInterrupt  # at which the client calls its job off
        stage = f"waiting behind {status.queue_position}" if status.queue_position else status.stage or status.state
        self._news.put(Running(attempt.name, stage, status.fraction))

    def _revive(self, endpoint: str) -> bool:
        """Have a backend again where the one at ``endpoint`` is gone; False, once that is news, where there is none."""
        with self._reviving:
            if self._stopping or endpoint != self._endpoint:
                return True
            if is_listening(endpoint):
                return True
            try:
                if self._asked:
                    sentence = f"The backend at {endpoint} is gone."
                    raise UserError(
                        ErrorCode.NO_BACKEND,
                        sentence,
                        "Start it again; the same command goes on where this one stopped.",
                    )
                self._stack.close()
                self._endpoint = self._stack.enter_context(backend_endpoint(None))
            except UserError as error:
                self._news.put(error)
                return False
            return True
