"""A take on its way to a file or folder for other tools: one job of the backend, followed without waiting."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from .codes import UNHEARD
from .vendor import codec, packed_folder
from .vendor import messages as m

Handler = Callable[[m.Message], None]


class ExportTask:
    """Submits an export, follows it and saves its file. ``on_end`` gets a sentence for the user, and whether it failed.

    ``send`` sends a message and calls the handler with every answer. With ``folder`` the file is a packed folder, whose
    files are put into a new folder at ``path``.
    """

    def __init__(
        self,
        job: m.ExportJob,
        path: Path,
        send: Callable[[m.Message, Handler], None],
        on_end: Callable[[str, bool], None],
        *,
        folder: bool = False,
    ) -> None:
        self.path = path
        self._folder = folder
        self.stage = "Waiting for the backend"  # what happens now, in a few words
        self._job = job
        self._send = send
        self._on_end = on_end
        self._token = secrets.token_hex(16)
        self._asked = False
        self._ended = False

    def start(self) -> None:
        """Submit the job; again on a new connection, where it is the same job and goes on."""
        self._asked = False
        self._send(m.Submit(self._job, token=self._token), self._on_status)

    def give_up(self, why: str) -> None:
        """End it as failed; what the backend says of it later is not heard."""
        self._end(why, failed=True)

    def _on_status(self, message: m.Message) -> None:
        status = getattr(message, "job", None)
        if isinstance(message, m.Error):
            self._on_error(message)
        elif isinstance(status, m.JobStatus) and not self._asked:
            self.stage = status.stage or status.state
            if status.state is m.JobState.DONE:
                self._asked = True
                self._send(m.Result(status.job_id, all_files=True), self._on_result)
            elif status.finished:
                self._end(str(status.problem) if status.problem else f"The export was {status.state}.", failed=True)

    def _on_result(self, message: m.Message) -> None:
        if isinstance(message, m.Error):
            self._on_error(message)
        elif isinstance(message, m.ResultReply) and not self._ended:
            data = next(iter(message.files.values()), None)
            if data is None:
                self._end("The backend finished the export and left no file.", failed=True)
                return
            try:
                (_save_folder if self._folder else _save)(self.path, data.tobytes())
            except OSError as error:
                self._end(f"{self.path} cannot be written: {error.strerror}.", failed=True)
                return
            except codec.ProtocolError as error:
                self._end(f"{error.message} {error.hint}".strip(), failed=True)
                return
            self._end(f"Exported to {self.path}.", failed=False)

    def _on_error(self, message: m.Error) -> None:
        if message.code in UNHEARD:  # ``start`` or ``give_up`` follows, by what becomes of the backend
            self.stage = "Waiting for the backend"
        else:
            self._end(f"{message.message} {message.hint}".strip(), failed=True)

    def _end(self, text: str, *, failed: bool) -> None:
        if not self._ended:  # a lost connection is told for every request that was open
            self._ended = True
            self._on_end(text, failed)


def _save(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; raises OSError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # where it cannot be made it may not be looked for either
            unfinished.unlink()
        raise


def _save_folder(path: Path, data: bytes) -> None:
    """Unpack a folder to where there is none, or an empty one; raises OSError, ProtocolError."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.mkdir()
        packed_folder.unpack_folder(data, unfinished)
        if path.is_dir():
            path.rmdir()
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
