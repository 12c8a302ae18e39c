"""A batch on disk, so that a second run goes on where the first ended, however it ended.

    OUT/<clip>/             results as ``flowface track`` leaves them, and clip.json; moved here whole, once
    OUT/results.csv         the table of the latest run
    OUT/.batch/id           what tells this batch from others
    OUT/.batch/lock         locked by the run that writes here
    OUT/.batch/clips/       <clip>.json: attempts at a clip that is not done, and why it failed
    OUT/.batch/logs/        <clip>.txt: the traceback of a failure in FlowFace itself
    OUT/.batch/unfinished/  results on their way; of no use once no run writes here
    OUT/.batch/earlier/     results that are being replaced by those of the same clip with other options

That a clip is done is said by one thing alone: its folder with a clip.json in it. The rename that puts it there does
nothing where one is, so that a clip that was tracked twice, as after a node was lost, counts once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from backend.client.track import output_folder
from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from backend.reading import read_json
from protocol.codec import ProtocolError
from protocol.fields import from_plain, to_plain
from protocol.job import TrackJob

RECORD = "clip.json"
MAX_RECORD_BYTES = 1 << 20


class ClipState(StrEnum):
    """Where a clip of a batch stands."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class ClipRecord:
    """What is known of a clip: ``asked`` is the fingerprint of its job, ``where`` the machine that tracked it.

    ``error_percent_iod`` is the mean reprojection error in percent of the inter-ocular distance; ``seconds`` are those
    of the latest attempt, waiting apart; ``attempts`` counts those of every run.
    """

    name: str
    state: ClipState
    asked: str
    attempts: int = 0
    frames: int = 0
    frames_tracked: int = 0
    error_percent_iod: float | None = None
    seconds: float | None = None
    where: str = ""
    problem: str = ""


def fingerprint(spec: TrackJob) -> str:
    """What tells a job from one of other footage or options."""
    text = json.dumps(to_plain(spec), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Ledger(AbstractContextManager["Ledger", None]):
    """The state of the batch whose results go to ``out``, which belongs to this process while the context is entered.

    Raises UserError ``output_unwritable`` where ``out`` cannot be written, ``in_use`` where another run writes there.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._state = out / ".batch"
        self._lock: FileLock | None = None
        self._id = ""

    def __enter__(self) -> Ledger:
        with output_folder(self.out), _told(self._state):
            self._state.mkdir(exist_ok=True)
            lock = FileLock(self._state / "lock", mode=0o600)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                raise UserError(
                    ErrorCode.IN_USE,
                    f"Another batch is writing to {self.out}.",
                    "Wait for it, stop it, or choose another --out.",
                ) from None
            self._lock = lock
            for name in ("clips", "logs", "unfinished", "earlier"):
                (self._state / name).mkdir(exist_ok=True)
            self._tidy()
            self._id = self._own_id()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._tidy()
        if self._lock:
            self._lock.release()

    def folder(self, name: str) -> Path:
        """The folder of a clip's results, whether it is there or not."""
        return self.out / name

    def log_file(self, name: str) -> Path:
        """Where the traceback of a clip's failure is kept."""
        return self._state / "logs" / f"{name}.txt"

    def record(self, name: str) -> ClipRecord | None:
        """What is known of a clip; None where nothing is. Results that somebody took away make it pending again.

        Raises UserError ``bad_output`` where its folder holds what no batch wrote.
        """
        folder = self.folder(name)
        done = _read(folder / RECORD)
        if done is not None:
            return done
        if folder.is_dir() and any(folder.iterdir()):
            raise UserError(
                ErrorCode.BAD_OUTPUT,
                f"The folder {folder} is there already, and no batch has written it.",
                "Choose another --out, or move it away.",
            )
        noted = _read(self._note(name))
        return None if noted is None or noted.state is ClipState.DONE else noted

    def note(self, record: ClipRecord) -> None:
        """Remember an attempt at a clip that is not done; raises UserError ``output_unwritable``."""
        with _told(self._state):
            write_atomic(self._note(record.name), _json(record), public=True)

    def work_folder(self, name: str) -> Path:
        """A new folder for the results of one attempt; raises UserError ``output_unwritable``."""
        folder = self._state / "unfinished" / f"{name}.{secrets.token_hex(4)}"
        with _told(folder):
            folder.mkdir()
        return folder

    def token(self, record: ClipRecord) -> str:
        """The token of an attempt, by which a backend knows it where the run that began it was killed."""
        text = f"{self._id} {record.name} {record.asked} {record.attempts}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def put_in_place(self, work: Path, record: ClipRecord, *, replacing: bool = False) -> bool:
        """Make a work folder the results of a clip; False where the clip has some, which stay.

        ``replacing`` takes away results that are there with another fingerprint. Raises UserError
        ``output_unwritable``.
        """
        folder = self.folder(record.name)
        with _told(folder):
            write_atomic(work / RECORD, _json(record), public=True)
            earlier = self._state / "earlier" / record.name
            if replacing and folder.exists():
                folder.rename(earlier)
            try:
                with contextlib.suppress(OSError):
                    folder.rmdir()  # one that is empty is nobody's
                work.rename(folder)
            except OSError:
                if not (folder / RECORD).is_file():
                    raise
                shutil.rmtree(work, ignore_errors=True)
                return False
            shutil.rmtree(earlier, ignore_errors=True)
            self._note(record.name).unlink(missing_ok=True)
            self.log_file(record.name).unlink(missing_ok=True)
        return True

    def amend(self, record: ClipRecord) -> None:
        """Replace the record of a done clip; raises UserError ``output_unwritable``."""
        with _told(self.folder(record.name)):
            write_atomic(self.folder(record.name) / RECORD, _json(record), public=True)

    def _own_id(self) -> str:
        path = self._state / "id"
        with contextlib.suppress(OSError):
            return path.read_text("ascii", errors="replace")
        own = secrets.token_hex(16)
        write_atomic(path, own.encode(), public=True)
        return own

    def _note(self, name: str) -> Path:
        return self._state / "clips" / f"{name}.json"

    def _tidy(self) -> None:
        """Drop what a run that was ended left on its way, and put back what it had moved away and not replaced."""
        for work in (self._state / "unfinished").iterdir():
            if work.is_dir():
                shutil.rmtree(work, ignore_errors=True)
            else:
                work.unlink(missing_ok=True)
        for earlier in (self._state / "earlier").iterdir():
            if (self.out / earlier.name).exists():
                shutil.rmtree(earlier, ignore_errors=True)
            else:
                earlier.rename(self.out / earlier.name)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            ErrorCode.OUTPUT_UNWRITABLE,
            f"{path} cannot be written: {error.strerror or error}.",
            "Free some space or choose another --out; the same command goes on where this one stopped.",
        ) from error


def _read(path: Path) -> ClipRecord | None:
    """A record, None where there is none that can be read: the clip is tracked again then."""
    try:
        return from_plain(ClipRecord, read_json(path, "clip", MAX_RECORD_BYTES), "clip")
    except (UserError, ProtocolError):
        return None


def _json(record: ClipRecord) -> bytes:
    return json.dumps(to_plain(record), ensure_ascii=False, indent=1).encode()
