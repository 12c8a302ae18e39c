"""Footage on its way to a backend on another machine, which sees none of this one's files. Knows nothing of bpy.

A thread reads, hashes and cuts the files; what it wants to have sent, Blender's main thread hands to the connection and
brings back the answers, in ``Upload.step``, without ever waiting. After a lost connection the file in progress goes on
from what the backend has.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from .codes import UNHEARD
from .footage_files import CannotSend, files_of_views
from .sent_files import SentFiles
from .vendor import messages as m
from .vendor import upload as u

ON_THE_WAY = 4
"""Chunks that are sent before the first of them is answered: Blender's timer brings answers only now and then."""
TRIES = 5
"""Of one file after a chunk that came damaged."""
LOOK_SECONDS = 0.2
DAMAGED = "upload_damaged"
UNKNOWN = "upload_unknown"

Handler = Callable[[m.Message], None]
Slot = queue.SimpleQueue[m.Message]


class _Lost(Exception):  # noqa: N818
    """The connection ended before an answer came."""


class _Refused(Exception):  # noqa: N818
    """The backend does not take it, for a reason."""

    def __init__(self, error: m.Error) -> None:
        super().__init__(f"{error.message} {error.hint}".strip())
        self.code = error.code


class _Cancelled(Exception):  # noqa: N818
    """Nobody wants it any more."""


class Upload:
    """The files of one job, from construction to ``job``, which names them as the backend has them."""

    def __init__(self, spec: m.TrackJob, sent: SentFiles) -> None:
        """Begin to read."""
        self.job: m.TrackJob | None = None  # to be submitted, once all is there
        self.problem = ""  # why it is not sent, in a sentence
        self.words = "Reading the footage"  # what happens now
        self._spec, self._sent = spec, sent
        self._done, self._total = 0, 1
        self._shown = ("", 0)
        self._wanted: queue.SimpleQueue[tuple[int, m.Message, Slot]] = queue.SimpleQueue()
        self._connection = 0  # counts them; what was sent over an earlier one is not answered
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="FlowFace upload", daemon=True)
        self._thread.start()

    @property
    def fraction(self) -> float:
        """The share of the work that is done, 0…1; files are read twice, to be hashed and to be sent."""
        return min(self._done / self._total, 1.0)

    @property
    def moved(self) -> bool:
        """True where a user sees more of it than when this was last asked."""
        shown = self.words, round(200 * self.fraction)
        moved, self._shown = shown != self._shown, shown
        return moved

    @property
    def ended(self) -> bool:
        """True where there is a job or a problem."""
        return self.job is not None or bool(self.problem)

    def connected(self) -> None:
        """There is a new connection."""
        self._connection += 1

    def cancel(self) -> None:
        """End it; what the backend has by then it keeps for a while."""
        self._cancelled.set()

    def step(self, send: Callable[[m.Message, Handler], None]) -> None:
        """Hand what is to be sent to a connection that is there."""
        with contextlib.suppress(queue.Empty):
            while True:
                connection, message, slot = self._wanted.get_nowait()
                if connection == self._connection:
                    send(message, slot.put)

    def _run(self) -> None:
        try:
            self.job = self._send_all()
        except (CannotSend, _Refused) as problem:
            self.problem = str(problem)
        except OSError as error:
            self.problem = f"{error.filename or 'The footage'} cannot be read: {error.strerror}."
        except _Cancelled:
            self.problem = "Cancelled."
        except Exception as error:
            self.problem = f"The footage cannot be sent because of an error in FlowFace itself: {error}."

    def _send_all(self) -> m.TrackJob:
        spec = self._spec
        paths = [Path(view.footage) for view in spec.views]
        together = [[path] for path in paths] if isinstance(spec, m.PhotographsJob) else files_of_views(paths)
        neutral = [Path(spec.neutral_file)] if spec.neutral_file else []
        self._total = 2 * sum(path.stat().st_size for files in (*together, neutral) for path in files) or 1
        views = []
        for view, files in zip(spec.views, together, strict=True):
            texts = self._send_together(files)
            views.append(replace(view, footage=texts[0], files=tuple(texts) if len(texts) > 1 else ()))
        place = self._send_together(neutral)[0] if neutral else spec.neutral_from
        return replace(spec, views=tuple(views), neutral_from=place)

    def _send_together(self, paths: list[Path]) -> list[str]:
        """Send files that belong together; what a job calls them."""
        names = distinct_names(paths)
        texts = [str(u.Uploaded(self._send_file(path), name)) for path, name in zip(paths, names, strict=True)]
        self._sent.remember(u.place_of(texts), dict(zip(names, paths, strict=True)))
        return texts

    def _send_file(self, path: Path) -> str:
        begun = self._done
        self.words = f"Reading “{path.name}”"
        digest, size = u.digest_of_file(path, self._read), path.stat().st_size
        self.words = f"Sending “{path.name}”"
        tries = TRIES
        while True:
            connection = self._connection
            try:
                received = self._state(self._ask(m.UploadStart(digest, size), connection), connection)
                self._done = begun + size + received.received
                if received.complete:
                    return digest
                self._send_from(path, received, begun + size, connection)
            except _Lost:
                self.words = f"Sending “{path.name}” goes on when the backend answers"
                self._wait_for_other(connection)
                self.words = f"Sending “{path.name}”"
            except _Refused as refused:
                tries -= 1
                if refused.code not in (DAMAGED, UNKNOWN) or not tries:
                    raise

    def _send_from(self, path: Path, state: m.UploadState, begun: int, connection: int) -> None:
        """Send the rest of a file, until it is there or the backend wants something else than what comes next."""
        start, pending = state.received, deque[tuple[int, Slot]]()
        for chunk in u.chunks_of(path, state.received):
            data = np.frombuffer(chunk, np.uint8)
            message = m.UploadChunk(state.digest, start, u.checksum(chunk), data)
            start += len(chunk)
            pending.append((start, self._ask(message, connection)))
            if len(pending) >= ON_THE_WAY and not self._arrived(pending, begun, connection):
                return
        while pending:
            if not self._arrived(pending, begun, connection):
                return
        if start < state.size:
            raise CannotSend(f"{path} changed while it was sent: track it again.")

    def _arrived(self, pending: deque[tuple[int, Slot]], begun: int, connection: int) -> bool:
        expected, slot = pending.popleft()
        state = self._state(slot, connection)
        self._done = begun + state.received
        return state.received == expected

    def _ask(self, message: m.Message, connection: int) -> Slot:
        slot: Slot = queue.SimpleQueue()
        self._wanted.put((connection, message, slot))
        return slot

    def _state(self, slot: Slot, connection: int) -> m.UploadState:
        while True:
            if self._cancelled.is_set():
                raise _Cancelled
            try:
                answer = slot.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if connection != self._connection:
                    raise _Lost from None
                continue
            if isinstance(answer, m.Error):
                if answer.code in UNHEARD:
                    raise _Lost
                raise _Refused(answer)
            if isinstance(answer, m.UploadState):
                return answer

    def _wait_for_other(self, connection: int) -> None:
        while connection == self._connection:
            if self._cancelled.wait(LOOK_SECONDS):
                raise _Cancelled

    def _read(self, count: int) -> None:
        if self._cancelled.is_set():
            raise _Cancelled
        self._done += count


def distinct_names(paths: list[Path]) -> list[str]:
    """The files' own names as far as every system takes them, those that repeat another's with a number."""
    names: list[str] = []
    taken: set[str] = set()
    for number, path in enumerate(paths):
        plain = "".join(letter if letter not in '\\:*?"<>|' and ord(letter) >= 32 else "_" for letter in path.name)
        plain = plain.lstrip(".")[-u.MAX_NAME // 4 :] or "footage"
        name = plain if plain.casefold() not in taken else f"{number}_{plain}"
        taken.add(name.casefold())
        names.append(name)
    return names
