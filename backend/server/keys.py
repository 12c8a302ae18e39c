"""The keys of a user's backends and clients, and whom this user trusts; in the folder ``keys`` beside the state file.

    backend.key     the pair of the user's backends
    user.key        what the user's own clients need (``protocol.keys.user_file_text``)
    client.key      the user's own pair for backends elsewhere, where the add-on made one before any backend ran here
    trusted.json    the public keys of clients on other machines, by name

Only their user may read them; they are made at the first start of a backend. All backends of a user share them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import zmq
from filelock import FileLock, Timeout

from backend.errors import ErrorCode, UserError
from backend.files import write_atomic
from protocol import keys as k
from protocol.codec import ProtocolError
from protocol.codes import ProtocolCode

log = logging.getLogger(__name__)

OWNER = ""
"""The name of this user among the clients."""
LOCK_SECONDS = 10.0
_NAME = re.compile(r"[\w][\w .@-]{0,59}")


@dataclass(frozen=True)
class TrustedClient:
    """A client on another machine that may speak to this user's backends; ``since`` is ISO 8601."""

    name: str
    public: str
    since: str


class KeyRing:
    """The keys of one folder. ``owner_of`` may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        """Read the keys, making those that are not there; raises UserError (``bad_keys``)."""
        self.folder = folder
        self._lock = threading.Lock()
        self._trusted: dict[str, TrustedClient] = {}
        self._read_at: tuple[int, ...] | None = None
        _close_to_others(folder)
        try:
            self.backend, self.user = _read_pairs(folder)
        except ProtocolError:  # read again where nobody writes meanwhile
            with self._locked():
                try:
                    self.backend = _pair_of(folder / "backend.key")
                    self.user = _user_of(folder / "user.key", self.backend.public)
                except ProtocolError as error:
                    raise UserError(ErrorCode.BAD_KEYS, error.message, error.hint) from error

    @property
    def own_client(self) -> k.KeyPair:
        """The pair by which backends on other machines know this user's clients; raises UserError (``bad_keys``)."""
        path = self.folder / "client.key"
        try:
            return _pair_of(path) if path.is_file() else self.user
        except ProtocolError as error:
            raise UserError(ErrorCode.BAD_KEYS, error.message, error.hint) from error

    def owner_of(self, public: str, *, network: bool) -> str | None:
        """Whose key this is: ``OWNER`` for this user's own, which counts on this machine only; the name of a trusted
        client, whose key counts on the network only; None for anybody else's."""
        if not network:
            return OWNER if public == self.user.public else None
        return next((client.name for client in self.trusted() if client.public == public), None)

    def trusted(self) -> tuple[TrustedClient, ...]:
        """The clients that are trusted as of now; none where their file is damaged or not this user's alone to write,
        which is no reason to trust."""
        with self._lock:
            path = self.folder / "trusted.json"
            try:
                found = path.stat()
                now = found.st_mtime_ns, found.st_ino, found.st_mode, found.st_uid
            except OSError:
                now = None
            if now != self._read_at:
                self._trusted, self._read_at = {} if now is None else _read_trusted(path), now
            return tuple(self._trusted.values())

    def trust(self, name: str, public: str) -> TrustedClient:
        """Trust a key under a name; raises UserError (``bad_keys``, ``name_taken``)."""
        if not _NAME.fullmatch(name):
            raise UserError(ErrorCode.BAD_KEYS, f"“{name[:60]}” is no name for a key.", "Use letters and digits.")
        try:
            k.require_key(public)
        except ProtocolError as error:
            raise UserError(ErrorCode.BAD_KEYS, error.message, error.hint) from error
        client = TrustedClient(name, public, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._locked():
            known = {entry.name: entry for entry in self.trusted()}
            if any(public == entry.public for entry in known.values()):
                raise UserError(ErrorCode.NAME_TAKEN, "This key is trusted already, under another name.")
            if name in known:
                raise UserError(
                    ErrorCode.NAME_TAKEN,
                    f"A key named “{name}” is trusted already.",
                    "Revoke it first, or take another.",
                )
            self._write_trusted({**known, name: client})
        return client

    def new_client(self, name: str) -> str:
        """Make a key for a client on another machine and trust it; returns the access key to hand over, which holds
        the secret and is kept nowhere here. Raises UserError as ``trust`` does."""
        pair = new_pair()
        self.trust(name, pair.public)
        return k.access_text(k.Access(self.backend.public, pair.secret))

    def revoke(self, name: str) -> TrustedClient:
        """Trust a name no longer; raises UserError (``unknown_key``)."""
        with self._locked():
            known = {entry.name: entry for entry in self.trusted()}
            if name not in known:
                raise UserError(
                    ErrorCode.UNKNOWN_KEY, f"No key named “{name[:60]}” is trusted.", "“flowface keys show” lists them."
                )
            gone = known.pop(name)
            self._write_trusted(known)
        return gone

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else writes the keys meanwhile; raises UserError (``bad_keys``) where they cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with FileLock(self.folder / "lock", mode=0o600, timeout=LOCK_SECONDS):
                yield
        except (OSError, Timeout) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "somebody else holds its lock"
            raise UserError(
                ErrorCode.BAD_KEYS,
                f"The keys in {self.folder} cannot be written: {why}.",
                "Without keys nobody could tell who speaks: free some space, or name another folder in "
                "FLOWFACE_STATE_DIR.",
            ) from error

    def _write_trusted(self, clients: dict[str, TrustedClient]) -> None:
        content = json.dumps([asdict(client) for client in clients.values()], indent=1, ensure_ascii=False)
        write_atomic(self.folder / "trusted.json", content.encode())


def new_pair() -> k.KeyPair:
    """A fresh pair of keys."""
    public, secret = zmq.curve_keypair()
    return k.KeyPair(public.decode("ascii"), secret.decode("ascii"))


def keys_folder() -> Path:
    """The folder of this user's keys."""
    return k.user_key_file().parent


def _read_pairs(folder: Path) -> tuple[k.KeyPair, k.KeyPair]:
    """The backends' pair and the clients'; raises ProtocolError where one is not there or no good."""
    backend = _read_pair(folder / "backend.key")
    known, user = k.read_user_file(folder / "user.key")
    if known != backend.public:
        raise _damaged(folder / "user.key")
    return backend, _sound(user, folder / "user.key")


def _pair_of(path: Path) -> k.KeyPair:
    try:
        return _read_pair(path)
    except ProtocolError as error:
        if error.code is not ProtocolCode.NO_KEY:
            raise
        pair = new_pair()
        write_atomic(path, json.dumps({"public": pair.public, "secret": pair.secret}).encode())
        return pair


def _user_of(path: Path, backend: str) -> k.KeyPair:
    own = None
    try:
        known, own = k.read_user_file(path)
        if known == backend:
            return _sound(own, path)
    except ProtocolError as error:
        if error.code is not ProtocolCode.NO_KEY:
            raise
    own = own or new_pair()
    write_atomic(path, k.user_file_text(backend, own).encode())
    return own


def _read_pair(path: Path) -> k.KeyPair:
    data = k.read_secret(path)
    if isinstance(data, dict) and isinstance(data.get("public"), str) and isinstance(data.get("secret"), str):
        return _sound(k.KeyPair(data["public"], data["secret"]), path)
    raise _damaged(path)


def _sound(pair: k.KeyPair, path: Path) -> k.KeyPair:
    """The pair, whose halves belong together."""
    try:
        if zmq.curve_public(pair.secret.encode()) == pair.public.encode():
            return pair
    except (zmq.ZMQError, ValueError):  # letters of Z85 that are no number of 32 bits
        pass
    raise _damaged(path)


def _damaged(path: Path) -> ProtocolError:
    return ProtocolError(ProtocolCode.BAD_KEY, f"The key file {path} is damaged.", "Delete it; a new one is made.")


def _read_trusted(path: Path) -> dict[str, TrustedClient]:
    try:
        with path.open("rb") as file:
            if not _is_own(os.fstat(file.fileno())):
                log.error("%s can be written by other users of this machine: nobody is trusted", path)
                return {}
            data = json.loads(file.read())
        clients = [TrustedClient(str(entry["name"]), str(entry["public"]), str(entry["since"])) for entry in data]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return {client.name: client for client in clients if _NAME.fullmatch(client.name)}  # "" would be this user


def _is_own(found: os.stat_result) -> bool:
    """This user's, which nobody else may write; on Windows a profile's folders are by their access lists."""
    return sys.platform == "win32" or (found.st_uid == os.geteuid() and not found.st_mode & 0o022)


def _close_to_others(folder: Path) -> None:
    """Take from other users what a folder of keys that was there before lets them do in it."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # there is none yet, or it is another's, whose files are refused
            if folder.stat().st_mode & 0o077:
                folder.chmod(0o700)
