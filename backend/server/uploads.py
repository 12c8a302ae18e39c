"""Footage that clients on other machines sent, for they name no paths here.

    <jobs>/uploads/<client>/<digest>            a whole file (``protocol.upload``)
                            <digest>.part       one on its way, as large as it will be
                            <digest>.checks     the SHA-256 of each of its chunks that came so far
                            placed/<name>/…     links to whole files under their own names, as a job wants them

Each client has its own folder: content is not shared between clients, as knowing a digest is no right to see what it
stands for. What lies there is bounded by a quota for each client, before a byte of it is taken.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from backend.errors import ErrorCode, UserError
from backend.files import link_or_copy
from backend.reading import BINARY
from protocol import messages as m
from protocol.upload import CHUNK_BYTES, PREFIX, Uploaded, digest_of, place_of

log = logging.getLogger(__name__)

FOLDER = "uploads"
DEFAULT_QUOTA = 50 << 30  # bytes for each client: some hours of video
KEPT_SECONDS = 24 * 3600.0
"""What was sent or used so lately is not deleted to make room for more."""
MAX_FILES = 200_000  # of a client: a few takes as sequences of images
CHECK_BYTES = 32
LISTS = ".txt"
"""Ends the names of texts that footage takes for a list of paths (``footage.sequences``)."""
SYNC_CHUNKS = 64
"""Chunks after which what came is on the disk for good: so many are sent again where the machine went down."""


class Uploads:
    """The uploads of all clients beside the jobs in ``root``. Not for several threads at once."""

    def __init__(self, root: Path, quota: int = DEFAULT_QUOTA) -> None:
        self._root = root / FOLDER
        self._quota = quota
        self._used: dict[str, dict[str, int]] = {}  # of each client: bytes by digest, of unfinished ones as announced

    def start(self, owner: str, message: m.UploadStart) -> m.UploadState:
        """Begin to take a file, or go on; raises UserError ``quota``, ``jobs_folder``."""
        folder, used = self._folder(owner), self._used_by(owner)
        known = used.get(message.digest)
        if known is None or (known != message.size and self._received(folder, message.digest) == 0):
            used.pop(message.digest, None)
            self._make_room(owner, message.size)
            used[message.digest] = message.size
        return self._state(folder, message.digest, message.size)

    def take(self, owner: str, message: m.UploadChunk) -> m.UploadState:
        """Take the next bytes of a file; raises UserError ``upload_unknown``, ``upload_damaged``, ``jobs_folder``.

        Bytes that are there already are not written again: the state tells what is wanted.
        """
        folder, used = self._folder(owner), self._used_by(owner)
        size = used.get(message.digest)
        if size is None:
            raise UserError(ErrorCode.UPLOAD_UNKNOWN, "Bytes came of a file that nobody began to send.", "Begin anew.")
        received = self._received(folder, message.digest)
        if message.offset != received or received >= size:
            return m.UploadState(message.digest, received, size)
        chunk = message.data.tobytes()
        if len(chunk) != min(CHUNK_BYTES, size - received) or hashlib.sha256(chunk).hexdigest() != message.check:
            raise UserError(ErrorCode.UPLOAD_DAMAGED, "A part of the footage was damaged on its way.", "Send it again.")
        try:
            self._append(folder, message.digest, received, chunk, size)
            if received + len(chunk) == size:
                self._finish(owner, folder, message.digest)
        except OSError as error:
            raise _unwritable(folder, error) from error
        return self._state(folder, message.digest, size)

    def placed(self, owner: str, spec: m.Job) -> m.Job:
        """A client's job with the paths at which its uploaded files lie here.

        Raises UserError ``not_allowed`` for a job that names a path of this machine, ``upload_unknown`` for a file that
        is not there whole; ProtocolError for a reference that is none.
        """
        match spec:
            case m.TrackJob():
                if spec.options.weights is not None:
                    raise _not_allowed(spec.options.weights)
                views = tuple(self._placed_view(owner, view) for view in spec.views)
                file = spec.neutral_file
                neutral = str(self._place(owner, [file])[0]) if file else spec.neutral_from
                return dataclasses.replace(spec, views=views, neutral_from=neutral)
            case m.TransferJob():
                return dataclasses.replace(spec, mesh=str(self._place(owner, [spec.mesh])[0]))
            case m.RefineJob() | m.ExportJob():
                return spec
        raise UserError(ErrorCode.NOT_ALLOWED, f"Jobs of the kind “{spec.KIND}” are for this backend's own user.")

    def _placed_view(self, owner: str, view: m.ViewSpec) -> m.ViewSpec:
        if not view.files:
            return dataclasses.replace(view, footage=str(self._place(owner, [view.footage])[0]))
        paths = self._place(owner, view.files)
        return dataclasses.replace(view, footage=str(paths[0]), files=tuple(path.name for path in paths))

    def _place(self, owner: str, texts: Sequence[str]) -> list[Path]:
        """The paths of uploaded files, together in one folder under their own names."""
        if paths := [text for text in texts if not text.startswith(PREFIX)]:
            raise _not_allowed(paths[0])
        files = [Uploaded.parse(text) for text in texts]
        if any(file.name.lower().endswith(LISTS) for file in files):
            sentence = "A list names footage by paths, which this backend reads for no client on another machine."
            raise UserError(ErrorCode.NOT_ALLOWED, sentence, "Send the images that it names.")
        folder = self._folder(owner)
        place = folder / "placed" / place_of(texts)
        missing = next((file for file in files if not (folder / file.digest).is_file()), None)
        if missing is not None:
            sentence = f"The footage “{missing.name}” has not been sent as a whole."
            raise UserError(ErrorCode.UPLOAD_UNKNOWN, sentence, "Send it first.")
        if len({file.name.casefold() for file in files}) != len(files):
            raise UserError(ErrorCode.UPLOAD_UNKNOWN, "Two files of one sequence have the same name.", "Rename one.")
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            for file in files:
                (folder / file.digest).touch()
                link_or_copy(folder / file.digest, place / file.name)
        except OSError as error:
            raise _unwritable(place, error) from error
        return [place / file.name for file in files]

    def _folder(self, owner: str) -> Path:
        folder = self._root / hashlib.sha256(owner.encode()).hexdigest()[:16]
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unwritable(folder, error) from error
        return folder

    def _used_by(self, owner: str) -> dict[str, int]:
        if owner not in self._used:
            files = [path for path in self._folder(owner).iterdir() if path.is_file()]
            self._used[owner] = {path.stem: path.stat().st_size for path in files if path.suffix != ".checks"}
            for path in files:
                if path.suffix == ".checks":
                    _keep_synced(path)
        return self._used[owner]

    def _make_room(self, owner: str, size: int) -> None:
        folder, used = self._folder(owner), self._used_by(owner)
        too_much = sum(used.values()) + size - self._quota
        for digest in self._oldest_first(folder, used) if too_much > 0 or len(used) >= MAX_FILES else ():
            too_much -= used.pop(digest)
            for name in (digest, f"{digest}.part", f"{digest}.checks"):
                (folder / name).unlink(missing_ok=True)
            if too_much <= 0 and len(used) < MAX_FILES:
                break
        if too_much <= 0 and len(used) < MAX_FILES:
            self._remove_stale_places(folder)
            return
        raise UserError(
            ErrorCode.QUOTA,
            f"This backend keeps {self._quota / 1e9:.3g} GB of a client's footage, and that is used up.",
            "Footage that was not used for a day makes room for new; or ask the backend's user for more.",
        )

    @staticmethod
    def _oldest_first(folder: Path, used: dict[str, int]) -> list[str]:
        """The digests of what may go; first what was announced and of which nothing came."""
        now, ages = time.time(), []
        for digest in used:
            found = [path for path in (folder / digest, folder / f"{digest}.part") if path.is_file()]
            changed = max((path.stat().st_mtime for path in found), default=0.0)
            if now - changed > KEPT_SECONDS:
                ages.append((changed, digest))
        return [digest for _, digest in sorted(ages)]

    @staticmethod
    def _remove_stale_places(folder: Path) -> None:
        """Links whose file has been deleted hold its bytes: they go, too."""
        place = folder / "placed"
        for named in place.iterdir() if place.is_dir() else ():
            links = [path.stat() for path in named.iterdir()]
            if time.time() - named.stat().st_mtime > KEPT_SECONDS and any(link.st_nlink == 1 for link in links):
                shutil.rmtree(named, ignore_errors=True)

    @staticmethod
    def _received(folder: Path, digest: str) -> int:
        """Bytes of a file that are there and were checked."""
        if (folder / digest).is_file():
            return (folder / digest).stat().st_size
        part, checks = folder / f"{digest}.part", folder / f"{digest}.checks"
        if not (part.is_file() and checks.is_file()):
            return 0
        return min(part.stat().st_size, checks.stat().st_size // CHECK_BYTES * CHUNK_BYTES)

    def _state(self, folder: Path, digest: str, size: int) -> m.UploadState:
        return m.UploadState(digest, self._received(folder, digest), size)

    @staticmethod
    def _append(folder: Path, digest: str, received: int, chunk: bytes, size: int) -> None:
        """Write a chunk, then its checksum: what lies between the two when all stops is sent again."""
        number, last = received // CHUNK_BYTES, received + len(chunk) == size
        with _opened(folder / f"{digest}.part", size) as part:
            part.seek(received)
            part.write(chunk)
            part.flush()
            if last or (number + 1) % SYNC_CHUNKS == 0:
                os.fsync(part.fileno())
        with _opened(folder / f"{digest}.checks", number * CHECK_BYTES) as checks:
            checks.seek(number * CHECK_BYTES)
            checks.write(hashlib.sha256(chunk).digest())

    def _finish(self, owner: str, folder: Path, digest: str) -> None:
        """Put a whole file in its place; one that is another than was announced is deleted."""
        part, checks = folder / f"{digest}.part", folder / f"{digest}.checks"
        data = checks.read_bytes()
        found = digest_of(data[start : start + CHECK_BYTES] for start in range(0, len(data), CHECK_BYTES))
        checks.unlink()
        if found != digest:
            part.unlink()
            del self._used_by(owner)[digest]
            raise UserError(
                ErrorCode.UPLOAD_DAMAGED, "The footage that came is not the one that was announced.", "Send it again."
            )
        part.replace(folder / digest)


def _opened(path: Path, size: int) -> BinaryIO:
    """A file of this size to be written into, for its user only."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | BINARY, 0o600), "r+b")
    file.truncate(size)
    return file


def _keep_synced(checks: Path) -> None:
    """Forget the chunks of which nobody knows whether they reached the disk."""
    synced = CHECK_BYTES * SYNC_CHUNKS
    with checks.open("r+b") as file:
        file.truncate(checks.stat().st_size // synced * synced)


def _not_allowed(path: str) -> UserError:
    return UserError(
        ErrorCode.NOT_ALLOWED,
        f"This backend reads no paths for clients on other machines, and “{Path(path).name[:60]}” is one.",
        "Send the footage first.",
    )


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(ErrorCode.JOBS_FOLDER, f"What was sent cannot be written to {path}: {error.strerror}.")
