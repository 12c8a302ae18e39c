"""The log of a backend: for people one line an event, for programs one JSON map (``--log-format json``).

All that is logged passes ``LineFormatter`` or ``JsonFormatter``, which let nothing that comes from outside look like a
line of its own. What this process and its children write to standard error themselves comes the same way: they are
given a pipe, whose lines are logged. Beside standard error the log goes to a file in the state folder, of bounded size.
"""

from __future__ import annotations

import contextlib
import contextvars
import datetime
import json
import logging
import logging.handlers
import os
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import IO

from filelock import FileLock, Timeout

from backend.server.plain import MAX_LINE, plain, plain_lines
from protocol.places import state_folder

MAX_BYTES = 4 << 20  # of a log file
BACKUPS = 2  # and so many older ones
MAX_FILES = 8  # backends that run at the same time and have one
MORE = "  | "  # begins the further lines of an event: no other line begins like that
_JOB = re.compile(r"\d{8}-\d{6}-[0-9a-f]{8}")

_request: contextvars.ContextVar[Mapping[str, str]] = contextvars.ContextVar("request", default=MappingProxyType({}))
stderr_log = logging.getLogger("stderr")


class LogFormat(StrEnum):
    """The form of a backend's log."""

    TEXT = "text"
    JSON = "json"


@contextlib.contextmanager
def about_request(**fields: str) -> Iterator[None]:
    """Whatever is logged within the block is about a request with these properties (``peer``, ``connection``)."""
    token = _request.set(fields)
    try:
        yield
    finally:
        _request.reset(token)


class LineFormatter(logging.Formatter):
    """Time, level, message and whose request it was; a traceback follows in lines that begin with ``MORE``."""

    def __init__(self, *, times: bool = True) -> None:
        super().__init__()
        self._times = times

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines of an event."""
        about = ", ".join(plain(value, 100) for value in _request.get().values())
        head = f"{self.formatTime(record)} {record.levelname} " if self._times else ""
        line = f"{head}{plain(record.getMessage())}{f' ({about})' if about else ''}"
        return "\n".join([line, *(MORE + more for more in _traceback(self, record))])


class JsonFormatter(logging.Formatter):
    """One JSON map: time, level, logger, message, and where there is one job, peer, connection, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of an event."""
        message = plain(record.getMessage())
        job = _JOB.search(message)
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {"time": at, "level": record.levelname, "logger": record.name, "message": message}
        fields |= {"job": job[0]} if job else {}
        fields |= {name: plain(value, 100) for name, value in _request.get().items()}
        if trace := _traceback(self, record):
            fields["traceback"] = trace
        return json.dumps(fields)


@contextlib.contextmanager
def logging_to(form: LogFormat, folder: Path | None = None) -> Iterator[Path | None]:
    """Log to standard error and to a file in ``folder`` (None: of the state folder) while the block lasts.

    Gives the file's path; None where none can be written, which is no reason not to serve.
    """
    logging.raiseExceptions = False  # a full disk or a reader that has left must not end the backend
    terminal = sys.stderr is not None and sys.stderr.isatty()
    with contextlib.ExitStack() as stack:
        own_end = stack.enter_context(_taken_stderr())
        handlers: list[logging.Handler] = []
        if own_end is not None:
            rich = terminal and form is LogFormat.TEXT
            handlers.append(_for_people(own_end) if rich else logging.StreamHandler(own_end))
        path = stack.enter_context(_own_file(state_folder() / "logs" if folder is None else folder))
        formatter = JsonFormatter() if form is LogFormat.JSON else LineFormatter()
        if path is not None:
            file = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
            stack.callback(file.close)
            handlers.append(file)
        for handler in handlers:
            if handler.formatter is None:
                handler.setFormatter(formatter)
        logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)
        stack.callback(logging.basicConfig, level=logging.INFO, handlers=[logging.NullHandler()], force=True)
        yield path


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    if not record.exc_info:
        return []
    return plain_lines(formatter.formatException(record.exc_info))


def _for_people(stream: IO[str]) -> logging.Handler:
    from rich.console import Console
    from rich.logging import RichHandler

    handler = RichHandler(console=Console(file=stream), show_path=False)
    handler.setFormatter(LineFormatter(times=False))
    return handler


@contextlib.contextmanager
def _taken_stderr() -> Iterator[IO[str] | None]:
    """Standard error, for the log alone: what others write to it, in this process and its children, is logged.

    None where there is no standard error.
    """
    try:
        own_end = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    except OSError:
        yield None
        return
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    thread = threading.Thread(target=_log_lines, args=(reading,), name="standard error", daemon=True)
    thread.start()
    try:
        yield own_end
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(own_end.fileno(), 2)  # which closes the pipe, unless a child that does not end has it
        thread.join(timeout=1.0)
        with contextlib.suppress(OSError):  # nobody may read it any more
            own_end.close()


def _log_lines(reading: int) -> None:
    """Log what comes through a pipe, line by line; of a line that does not end its beginning only."""
    with os.fdopen(reading, "rb") as pipe:
        whole = True
        while raw := pipe.readline(4 * MAX_LINE):
            if whole and raw.strip():
                stderr_log.warning("printed: %s", raw.decode("utf-8", "replace").rstrip("\r\n"))
            whole = raw.endswith(b"\n")


@contextlib.contextmanager
def _own_file(folder: Path) -> Iterator[Path | None]:
    """A log file that no other backend writes: the first of a few that is free."""
    lock = None
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in range(1, MAX_FILES + 1):
            path = folder / ("backend.log" if number == 1 else f"backend_{number}.log")
            lock = FileLock(path.with_suffix(".lock"), mode=0o600)
            with contextlib.suppress(Timeout):
                lock.acquire(blocking=False)
                path.touch(mode=0o600)
                break
        else:
            path = None
    except (OSError, NotImplementedError):
        path = None
    try:
        yield path
    finally:
        if lock is not None:
            lock.release()
