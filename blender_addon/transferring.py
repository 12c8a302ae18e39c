"""Shape keys on their way onto a mesh: one job of the backend, followed to its end without waiting.

There is one at a time. Blender's data is referred to by name: after an undo old references are dead.
"""

from __future__ import annotations

import io
import secrets
import time
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import session
from .active_job import Home, stage_of
from .client import Connection
from .codes import UNHEARD
from .vendor import messages as m

if TYPE_CHECKING:
    from .session import Session

PATIENCE = 60.0
"""Seconds that a transfer waits for a backend that nobody here is starting."""


@dataclass
class Transfer:
    """A mesh object's shape keys from the press of the button until they are there, or it has failed."""

    object: str  # by name
    home: Home
    spec: m.TransferJob
    asked_at: float
    status: m.JobStatus | None = None
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    submitted: bool = False
    fetching: bool = False
    cancelling: bool = False
    deltas: dict[str, NDArray[np.float32]] | None = None  # (V,3) by action, fetched, to be added
    figures: dict[str, float] | None = None
    sheet: bytes = b""

    @property
    def stage(self) -> str:
        """What happens now, in a few words."""
        if self.deltas is not None:
            return "Adding the shape keys"
        if self.cancelling:
            return "Cancelling"
        return stage_of(self.status) if self.status is not None else "Waiting for the backend"

    @property
    def fraction(self) -> float:
        """The share of the whole job that is done, 0…1."""
        return min(max(self.status.fraction, 0.0), 1.0) if self.status is not None else 0.0


_current: Transfer | None = None


def current() -> Transfer | None:
    """The transfer that is on its way."""
    return _current


def begin(object_name: str, home: Home, spec: m.TransferJob) -> None:
    """Have a mesh's shape keys made; the job is submitted as soon as a backend answers."""
    global _current
    _current = Transfer(object_name, home, spec, time.monotonic())
    session.current().notice = None


def end(text: str, *, is_error: bool = False) -> None:
    """Nothing is on its way any more; tell why."""
    global _current
    _current = None
    session.current().notice = session.Notice(text, is_error=is_error)


def forget() -> None:
    """Let it go without a word."""
    global _current
    _current = None


def leave(file: str) -> None:
    """Another file is open: what was made for a mesh of the last one is of no use, unless it is the same one again."""
    if _current is not None and (not file or file != _current.home.file):
        cancel()
        forget()


def cancel() -> None:
    """Stop it, in the backend too."""
    transfer, now = _current, session.current()
    if transfer is None:
        return
    transfer.cancelling = True
    if transfer.deltas is not None or not transfer.submitted or now.connection is not Connection.CONNECTED:
        end("Cancelled: no shape keys were made.")
    elif transfer.status is not None:
        now.request(m.Cancel(transfer.status.job_id), _heard_by(transfer))


def step(now: Session) -> bool:
    """One round of Blender's timer; whether anything changed that a user sees."""
    transfer = _current
    if transfer is None or transfer.deltas is not None:
        return False
    if now.connection is Connection.CONNECTED:
        if not transfer.submitted:
            if m.TransferJob.KIND not in now.kinds:
                end("This backend cannot make shape keys: install the add-on's version of it.", is_error=True)
                return True
            if not now.reads_paths:
                end("Shape keys are made by a backend on this machine only: it must see the mesh.", is_error=True)
                return True
            transfer.submitted = True
            now.request(m.Submit(transfer.spec, token=transfer.token), _heard_by(transfer))
        return False
    if now.coming_back and transfer.submitted:  # asked for again with the same token, it is the same job
        transfer.submitted = transfer.fetching = False
    waiting = now.coming_back and not transfer.submitted
    if now.connection is Connection.REFUSED or transfer.submitted:
        end(f"{now.connection_sentence} The shape keys were not made.", is_error=True)
        return True
    if not waiting and time.monotonic() - transfer.asked_at > PATIENCE:
        end(f"{now.connection_sentence} The shape keys were not made.", is_error=True)
        return True
    return False


def _heard_by(transfer: Transfer) -> Any:
    def hear(message: m.Message) -> None:
        if transfer is _current:
            _hear(transfer, message)

    return hear


def _hear(transfer: Transfer, message: m.Message) -> None:
    status = getattr(message, "job", None)
    if isinstance(message, m.Error) and message.code in UNHEARD:
        return  # ``step`` sees what becomes of the backend
    if isinstance(message, m.Error):
        end(f"{message.message} {message.hint}".strip(), is_error=True)
    elif isinstance(message, m.ResultReply):
        _take(transfer, message)
    elif isinstance(status, m.JobStatus) and not transfer.fetching:
        first, transfer.status = transfer.status is None, status
        if status.state is m.JobState.DONE and not transfer.cancelling:
            transfer.fetching = True
            session.current().request(m.Result(status.job_id, all_files=True), _heard_by(transfer))
        elif status.finished:
            failed = status.state is not m.JobState.CANCELLED and not transfer.cancelling
            end(str(status.problem or f"The job was {status.state}.") if failed else "Cancelled.", is_error=failed)
        elif first and transfer.cancelling:
            session.current().request(m.Cancel(status.job_id), _heard_by(transfer))


def _take(transfer: Transfer, reply: m.ResultReply) -> None:
    try:
        with np.load(io.BytesIO(reply.files[m.DELTAS_FILE].tobytes()), allow_pickle=False) as left:
            unit = np.float32(left["unit"])
            names = [str(name) for name in left["names"]]
            deltas = dict(zip(names, left["deltas"].astype(np.float32) * unit, strict=True))
            figures = dict(zip(map(str, left["figure_names"]), map(float, left["figures"]), strict=True))
        transfer.sheet = reply.files[m.SHEET_FILE].tobytes()
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        end(f"The backend made shape keys that cannot be read ({error}).", is_error=True)
        return
    transfer.deltas, transfer.figures = deltas, figures
