"""Footage sent to a backend that does not see this machine's files, and its results told in this machine's paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from backend.errors import ErrorCode, UserError
from backend.footage import open_footage
from backend.pipeline.open_views import named_alone
from backend.track.io import load_track, save_track
from protocol import messages as m
from protocol.take import TakeResult
from protocol.upload import MAX_NAME, Uploaded, checksum, chunks_of, digest_of_file, place_of

TRIES = 5
"""Of one chunk, before whoever damages them is given up on."""

Ask = Callable[[m.Message], m.UploadState]
OnSent = Callable[[str, int, int], None]
"""Gets what is being done in words, the bytes done and those of all files."""


@dataclass(frozen=True)
class SentJob:
    """A job whose files were sent: ``local`` has the path here of each, by the last two parts of its path there."""

    job: m.Job
    local: Mapping[tuple[str, str], Path]

    def localised(self, reply: m.ResultReply) -> m.ResultReply:
        """A result with this machine's footage instead of the backend's copies."""
        take = None if reply.take is None else self._take(reply.take, reply.files)
        files = {name: self._file(name, data.tobytes()) for name, data in reply.files.items()}
        return replace(reply, take=take, files={name: np.frombuffer(data, np.uint8) for name, data in files.items()})

    def _take(self, take: TakeResult, files: Collection[str]) -> TakeResult:
        cameras = tuple(
            replace(
                camera,
                footage=str(self._path(camera.footage)),
                footage_files=self._names(camera.footage, camera.footage_files),
                proxy=name if (name := proxy_name(camera.proxy)) in files else "",
            )
            for camera in take.cameras
        )
        return replace(take, cameras=cameras, others=tuple(self._take(other, files) for other in take.others))

    def _file(self, name: str, data: bytes) -> bytes:
        if not (name.startswith("track") and name.endswith(".npz")):
            return data
        with TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            track = load_track(path)
            cameras = tuple(replace(camera, footage=str(self._path(camera.footage))) for camera in track.cameras)
            save_track(replace(track, cameras=cameras), path)
            return path.read_bytes()

    def _path(self, there: str) -> Path:
        parts = there.replace("\\", "/").split("/")
        return self.local.get((parts[-2], parts[-1]), Path(there)) if len(parts) > 1 else Path(there)

    def _names(self, there: str, names: Sequence[str]) -> tuple[str, ...]:
        """A sequence's images as seen from the folder of its first."""
        folder, first = os.path.split(there.replace("\\", "/"))
        here = self._path(f"{folder}/{first}").parent
        return tuple(os.path.relpath(self._path(f"{folder}/{name}"), here) for name in names)


def proxy_name(there: str) -> str:
    """The name by which a job's result has a proxy: the last two parts of its path on the backend's machine.

    "" where that is no proxy's: whoever answers must not choose where its files are written.
    """
    folder, _, name = there.replace("\\", "/").rpartition("/")
    fitting = folder.endswith("/proxy") and name not in ("", ".", "..")
    return f"proxy/{name}" if fitting else ""


def send_files(job: m.Job, ask: Ask, on_sent: OnSent) -> SentJob:
    """Send the files that a job names, those that are not there yet.

    Raises UserError for footage that cannot be read, for a path that is to be read by the backend only
    (``not_allowed``), and what the backend raises.
    """
    sender = _Sender(ask, on_sent)
    match job:
        case m.TrackJob():
            together = _files_of_views(job)
            neutral = [Path(job.neutral_file)] if job.neutral_file else []
            sender.announce([path for files in (*together, neutral) for path in files])
            views = tuple(sender.view(view, files) for view, files in zip(job.views, together, strict=True))
            place = str(sender.send(neutral)[0]) if neutral else job.neutral_from
            return SentJob(replace(job, views=views, neutral_from=place), sender.local)
        case m.TransferJob():
            sender.announce([Path(job.mesh)])
            return SentJob(replace(job, mesh=sender.send([Path(job.mesh)])[0]), sender.local)
    return SentJob(job, {})


def _files_of_views(job: m.TrackJob) -> list[list[Path]]:
    """The files of each view's footage."""
    found = []
    for view, alone in zip(job.views, named_alone(job), strict=True):
        named = [Path(view.footage).parent / name for name in view.files]
        info = open_footage(view.footage, alone=alone, files=named).info
        found.append(list(info.files) or [info.path])
    return found


class _Sender:
    def __init__(self, ask: Ask, on_sent: OnSent) -> None:
        self._ask, self._on_sent = ask, on_sent
        self._done = self._total = 0
        self.local: dict[tuple[str, str], Path] = {}

    def announce(self, paths: Sequence[Path]) -> None:
        """All that will be sent."""
        self._total = 2 * sum(_size(path) for path in paths)  # each is read twice, for its digest and to be sent

    def view(self, view: m.ViewSpec, files: Sequence[Path]) -> m.ViewSpec:
        """A view with its footage sent."""
        sent = self.send(files)
        return replace(view, footage=sent[0], files=tuple(sent) if len(sent) > 1 else ())

    def send(self, paths: Sequence[Path]) -> list[str]:
        """Send files that belong together; what a job calls them."""
        names = _distinct_names(paths)
        texts = [str(Uploaded(self._send(path), name)) for path, name in zip(paths, names, strict=True)]
        place = place_of(texts)
        self.local |= {(place, name): path for path, name in zip(paths, names, strict=True)}
        return texts

    def _send(self, path: Path) -> str:
        try:
            digest = digest_of_file(path, self._advance(f"reading “{path.name}”"))
            try:
                self._send_rest(path, digest)
            except UserError as error:
                if error.code != ErrorCode.UPLOAD_UNKNOWN:
                    raise
                self._send_rest(path, digest)  # another backend took the place of the one that had heard of it
        except OSError as error:
            raise UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{path} cannot be read: {error.strerror}.") from error
        return digest

    def _send_rest(self, path: Path, digest: str) -> None:
        """Send what is not there yet of a file."""
        state = self._ask(m.UploadStart(digest, path.stat().st_size))
        sent = self._advance(f"sending “{path.name}”")
        sent(state.received)
        while not state.complete:
            start = state.received
            for chunk in chunks_of(path, start):
                state = self._send_chunk(digest, start, chunk)
                if state.received != start + len(chunk):  # the backend has more, or less, than was thought
                    break
                start = state.received
                sent(len(chunk))
            else:
                if not state.complete:
                    raise UserError(ErrorCode.UPLOAD_DAMAGED, f"{path} changed while it was sent.", "Try again.")

    def _send_chunk(self, digest: str, start: int, chunk: bytes) -> m.UploadState:
        message = m.UploadChunk(digest, start, checksum(chunk), np.frombuffer(chunk, np.uint8))
        damage = None
        for _ in range(TRIES):
            try:
                return self._ask(message)
            except UserError as error:
                if damage and error.code == ErrorCode.UPLOAD_UNKNOWN:
                    raise damage from error  # the whole was another than announced, and is gone
                if error.code != ErrorCode.UPLOAD_DAMAGED:
                    raise
                damage = error
        assert damage
        raise damage

    def _advance(self, words: str) -> Callable[[int], None]:
        def advance(count: int) -> None:
            self._done += count
            self._on_sent(words, self._done, self._total)

        return advance


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise UserError(ErrorCode.FOOTAGE_UNREADABLE, f"{path} cannot be read: {error.strerror}.") from error


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """The files' own names as far as every system takes them, those that repeat another's with a number."""
    names: list[str] = []
    taken: set[str] = set()
    for number, path in enumerate(paths):
        plain = "".join(letter if letter not in '\\:*?"<>|' and ord(letter) >= 32 else "_" for letter in path.name)
        plain = plain.lstrip(".")[-MAX_NAME // 4 :] or "footage"
        name = plain if plain.casefold() not in taken else f"{number}_{plain}"
        taken.add(name.casefold())
        names.append(name)
    return names
