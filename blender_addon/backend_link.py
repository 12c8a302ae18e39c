"""The add-on's link to its backend: the connection, the process that it started, and what the backend offers.

Everything here runs on Blender's main thread and returns at once.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import own_key
from .backend_places import CannotStart, find_launch
from .backend_process import BackendProcess
from .client import Client, Connection, ConnectionEvent, Event
from .remote import is_remote
from .restarts import Restarts
from .vendor import codec
from .vendor import messages as m
from .versions import mismatch, own_version

UNREACHABLE = "The FlowFace backend is not running. Start it in the FlowFace panel or with “flowface serve”."
STILL_STOPPING = "The previous backend is still stopping; try again in a moment."
ELSEWHERE = "The backend at this address is on another machine: it is started and stopped there."
STOPPED = "The backend stopped; FlowFace starts it again…"
GIVEN_UP = "It had been started again as often as makes sense, and now is not: its log says more."
NEWS_SECONDS = 2.0
LAST_WORDS_SECONDS = 0.3
"""A backend's workers may hold its output open for longer than it lives."""

Handler = Callable[[m.Message], None]


class BackendLink:
    """One backend at most; what becomes of jobs is said by ``_on_connection`` and ``_on_process_ended``.

    A backend that this add-on started, that answered, and that ended unasked is started again where it had work.
    """

    def __init__(self) -> None:
        self.client: Client | None = None
        self.connection = Connection.CONNECTING
        self.connection_sentence = UNREACHABLE
        self.backend_version = ""
        self.device = ""  # that fits run on, in words; "" where the backend was still loading when it answered
        self.kinds: tuple[str, ...] = ()  # of jobs that the backend does
        self.verbs: tuple[str, ...] = ()  # that the backend answers
        self.reads_paths = True  # of this machine: footage need not be sent
        self.process: BackendProcess | None = None
        self.heads: tuple[m.HeadInfo, ...] = ()  # what the backend offers; stays when the connection is lost
        self.aligners: tuple[m.AlignerInfo, ...] = ()
        self.exports: tuple[m.ExportInfo, ...] = ()
        self.weights: tuple[m.WeightsInfo, ...] = ()
        self.storage: m.StorageReply | None = None
        self._wanted: tuple[str, str] | None = None  # address and access key
        self._handlers: dict[int, Handler] = {}
        self._stopper: threading.Thread | None = None
        self._ended_at = 0.0
        self.last_process: BackendProcess | None = None  # the one before this, for its log
        self.restart_at: float | None = None  # when it is started again, by time.monotonic
        self._launch: Callable[[], BackendProcess] | None = None
        self._restarts = Restarts()
        self._answered = False  # it, or the one that it follows

    def connect(self, endpoint: str, access_key: str = "") -> None:
        """Keep a connection to ``endpoint``, with the key of a backend on another machine; does nothing twice."""
        if self._wanted == (endpoint, access_key):
            return
        self.disconnect()
        self._wanted = (endpoint, access_key)
        try:
            client = Client(
                endpoint, version=own_version(), access_key=own_key.complete(access_key) if access_key else ""
            )
        except codec.ProtocolError as error:
            self.connection, self.connection_sentence = Connection.REFUSED, f"{error.message} {error.hint}".strip()
            return
        except own_key.CannotKeep as problem:
            self.connection, self.connection_sentence = Connection.REFUSED, str(problem)
            return
        try:
            client.start()
        except ValueError as error:
            client.close()
            self.connection, self.connection_sentence = Connection.REFUSED, str(error)
            return
        self.client = client
        self.connection, self.connection_sentence = Connection.CONNECTING, self._unreachable

    @property
    def remote(self) -> bool:
        """True where the backend is another machine's, which sees none of this one's files."""
        return self._wanted is not None and is_remote(*self._wanted)

    @property
    def _unreachable(self) -> str:
        if self.remote and self._wanted is not None:
            return f"The backend on another machine, at {self._wanted[0]}, does not answer."
        return UNREACHABLE

    def disconnect(self) -> None:
        """Close the connection; jobs go on in the backend."""
        if self.client is not None:
            self.client.close()
        self.client = None
        self._handlers.clear()
        self._wanted = self.restart_at = None
        self.connection, self.connection_sentence = Connection.CONNECTING, UNREACHABLE

    @property
    def version_warning(self) -> str:
        """A sentence where the connected backend is of another version than the add-on, else ""."""
        connected = self.connection is Connection.CONNECTED
        return mismatch(own_version(), self.backend_version) if connected else ""

    @property
    def backend_starting(self) -> bool:
        """True where this add-on started a backend that does not answer yet."""
        return self.process is not None and self.process.running and self.connection is not Connection.CONNECTED

    @property
    def coming_back(self) -> bool:
        """True where a backend of this add-on's own will soon answer, as far as anybody knows."""
        return self.restart_at is not None or self.backend_starting

    @property
    def starts_again(self) -> bool:
        """True where it is one that had answered before."""
        return self.coming_back and self._answered

    @property
    def owns_backend(self) -> bool:
        """True where this add-on started the backend that runs."""
        return self.process is not None and self.process.running

    def start_backend(
        self, environment: str, endpoint: str, log_file: Path | None, further: Sequence[str] = ()
    ) -> None:
        """Start a backend, with ``further`` options of ``flowface serve``; says why where it cannot.

        Raises:
            CannotStart: with a sentence for the user.
        """
        if self.owns_backend or self.connection is Connection.CONNECTED:
            return
        if self.stopping:
            raise CannotStart(STILL_STOPPING)
        if self._wanted is None or self._wanted[0] != endpoint:
            self.connect(endpoint)
        if self.remote:
            raise CannotStart(ELSEWHERE)
        options = ["--endpoint", endpoint, "--parent-pid", str(os.getpid()), *further]
        launch = find_launch(environment)
        self._launch = lambda: BackendProcess(launch, options, log_file)
        self._restarts, self.restart_at, self._answered = Restarts(), None, False
        self.process = self._launch()

    @property
    def stopping(self) -> bool:
        """True while a backend that was told to stop has not ended."""
        return self._stopper is not None and self._stopper.is_alive()

    def stop_backend(self, *, wait: bool = False) -> None:
        """Stop the backend that this add-on started, in a thread of its own so that Blender goes on."""
        process, self.process = self.process, None
        self.restart_at = None
        if process is None:
            return
        self.last_process = process
        self._stopper = threading.Thread(target=process.stop, name="FlowFace backend stop")
        self._stopper.start()
        if wait:
            self.wait_for_stop()

    def wait_for_stop(self) -> None:
        """Wait until a backend that was told to stop has ended."""
        if self._stopper is not None:
            self._stopper.join()

    def quiet(self) -> contextlib.AbstractContextManager[bool]:
        """No thread of the connection touches a Python object meanwhile, where it says True (see ``Client.parked``)."""
        return contextlib.nullcontext(True) if self.client is None else self.client.parked()

    def ask_heads(self) -> None:
        """Ask the backend which heads, aligners, exports and weights it has; the answer replaces the lists."""
        if self.connection is Connection.CONNECTED:
            self._send(m.Heads(), self._on_heads)

    def ask_storage(self, keep_bytes: int | None = None) -> None:
        """Ask what the backend's jobs take on disk; first have the oldest deleted beyond ``keep_bytes``."""
        if self.connection is Connection.CONNECTED:
            self._send(m.Storage() if keep_bytes is None else m.Prune(keep_bytes), self._on_storage)

    def poll(self, budget: float = 0.01) -> bool:
        """Handle what the client received, in at most ``budget`` seconds and without ever waiting.

        Returns whether anything changed that a user sees.
        """
        events = self.client.poll(budget) if self.client is not None else []
        for event in events:
            self._handle(event)
        return self._watch_process() or bool(events)

    def _handle(self, event: Event) -> None:
        if isinstance(event, ConnectionEvent):
            self.connection, self.connection_sentence = event.state, event.sentence
            if event.state is Connection.CONNECTING:
                self.connection_sentence = self._unreachable
            if event.welcome is not None:
                self._answered = self._answered or self.owns_backend
                self.backend_version, self.device = event.welcome.backend_version, event.welcome.device
                self.verbs = event.welcome.capabilities
                self.kinds, self.reads_paths = event.welcome.kinds, event.welcome.reads_paths
                self.ask_heads()
            self._on_connection(event)
            return
        handler = self._handlers.get(event.request)
        if not isinstance(event.message, m.Progress):
            self._handlers.pop(event.request, None)
        if isinstance(event.message, m.Submitted | m.StatusReply) and handler is not None:
            self._handlers[event.request] = handler  # progress is pushed under the same id
        if handler is not None:
            handler(event.message)

    def _watch_process(self) -> bool:
        if self.restart_at is not None:
            return self._start_again_when_due(self.restart_at)
        process = self.process
        if process is None or process.running:
            return False
        # Where it is connected, either the news of the lost connection is still on its way, or another backend answers.
        ended_unnoticed = self.connection is Connection.CONNECTED
        self._ended_at = self._ended_at or time.monotonic()
        patience = NEWS_SECONDS if ended_unnoticed else LAST_WORDS_SECONDS
        if (ended_unnoticed or not process.silent) and time.monotonic() - self._ended_at < patience:
            return False
        self.process, self.last_process, self._ended_at = None, process, 0.0
        if ended_unnoticed:
            return True
        why = process.why_ended(0.0)
        if self._answered and self._has_work() and not process.was_stopped:
            self.restart_at = self._restarts.plan(time.monotonic())
            if self.restart_at is None:
                why = f"{why} {GIVEN_UP}"
        if self.restart_at is None:
            self._on_process_ended(why)
        return True

    def _start_again_when_due(self, due: float) -> bool:
        if self.connection is Connection.CONNECTED:  # somebody else was faster
            self.restart_at = None
            return True
        if time.monotonic() < due or self._launch is None:
            return False
        self.restart_at = None
        try:
            self.process = self._launch()
        except CannotStart as problem:
            self._on_process_ended(str(problem))
        return True

    def _has_work(self) -> bool:
        """Whether jobs wait for the backend, as far as is known here."""
        return False

    def _on_connection(self, event: ConnectionEvent) -> None:
        """The connection changed; what the backend offers is asked for already."""

    def _on_process_ended(self, why: str) -> None:
        """The backend that this add-on started has ended, unasked; ``why`` in a sentence, "" where nobody knows."""

    def _on_storage(self, message: m.Message) -> None:
        if isinstance(message, m.StorageReply):
            self.storage = message

    def _on_heads(self, message: m.Message) -> None:
        if isinstance(message, m.HeadList):
            self.heads, self.aligners = message.heads, message.described_aligners
            self.exports, self.weights = message.exports, message.weights

    def request(self, message: m.Message, handler: Handler) -> None:
        """Send a message and call the handler with every answer; of one that nobody answers, with an Error."""
        self._send(message, handler)

    def _send(self, message: m.Message, handler: Handler) -> None:
        if self.client is not None:
            self._handlers[self.client.send(message)] = handler
