"""Keys, by which a backend knows its clients and they know it: CURVE's (Curve25519), in ZeroMQ's Z85 text.

A user's own clients read ``user_key_file``, which the user's backend makes and nobody else may read. A client on
another machine is given one line of text, an access key (``access_text``).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .codec import ProtocolError
from .codes import ProtocolCode
from .places import state_folder

MAX_FILE_BYTES = 4096
KEY_BYTES = 32
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_Z85_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_PREFIX = "flowface1-"


@dataclass(frozen=True)
class KeyPair:
    """A public key and its secret one, each 40 letters of Z85; the secret is never shown by ``repr``."""

    public: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_key``) for what is no key."""
        require_key(self.public)
        require_key(self.secret)


@dataclass(frozen=True)
class Access:
    """What a client needs: the backend's public key, and its own secret; "" of the latter for this user's own."""

    backend: str
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ProtocolError (``bad_key``) for what is no key."""
        require_key(self.backend)
        if self.secret:
            require_key(self.secret)


def require_key(text: str) -> None:
    """Raise ProtocolError (``bad_key``) for anything but a key in Z85."""
    if not _Z85.fullmatch(text):
        raise ProtocolError(ProtocolCode.BAD_KEY, "A key is damaged: expected 40 letters of Z85.")


def user_key_file() -> Path:
    """The file that lets this user's clients speak to this user's backends."""
    return state_folder() / "keys" / "user.key"


def user_file_text(backend: str, own: KeyPair) -> str:
    """The content of ``user_key_file``: the public key of the user's backends, and the pair of the user's clients."""
    return json.dumps({"backend": backend, "public": own.public, "secret": own.secret}, indent=1)


def read_user_file(path: Path) -> tuple[str, KeyPair]:
    """What ``user_file_text`` made of a file's content: the backend's public key, and the user's own pair.

    Raises:
        ProtocolError: ``no_key`` where there is no such file, ``bad_key`` where it is damaged, is not this user's or
            may be read by others.
    """
    data = read_secret(path)
    if isinstance(data, dict) and all(isinstance(data.get(name), str) for name in ("backend", "public", "secret")):
        require_key(data["backend"])
        return data["backend"], KeyPair(data["public"], data["secret"])
    raise _damaged(path)


def own_access(path: Path | None = None) -> Access:
    """The access of this user's clients to this user's backends; raises as ``read_user_file`` does."""
    backend, own = read_user_file(path or user_key_file())
    return Access(backend, own.secret)


def read_secret(path: Path) -> object:
    """The JSON of a file that only its user may read; raises as ``read_user_file`` does."""
    try:
        with path.open("rb") as file:
            _require_private(path, os.fstat(file.fileno()))
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ProtocolError(
            ProtocolCode.NO_KEY,
            f"There is no key at {path}: no FlowFace backend of this user ever ran here.",
            "Start one in the FlowFace panel or with “flowface serve”.",
        ) from None
    except OSError as error:
        raise ProtocolError(ProtocolCode.BAD_KEY, f"The key file {path} cannot be read: {error.strerror}.") from error
    try:
        return json.loads(content) if len(content) <= MAX_FILE_BYTES else None
    except (ValueError, RecursionError):
        raise _damaged(path) from None


def access_text(access: Access) -> str:
    """An access key as one line to hand over: the backend's public key, and a client's secret where it holds one."""
    return _PREFIX + base64.urlsafe_b64encode(_raw(access.backend) + _raw(access.secret)).decode().rstrip("=")


def is_access_text(text: str) -> bool:
    """True for what looks like an access key."""
    return text.strip().startswith(_PREFIX)


def access_from_text(text: str) -> Access:
    """The access key of a line; raises ProtocolError (``bad_key``)."""
    coded = text.strip()
    try:
        if not coded.startswith(_PREFIX):
            raise ValueError(_PREFIX)
        letters = coded.removeprefix(_PREFIX)
        raw = base64.b64decode(letters + "=" * (-len(letters) % 4), altchars=b"-_", validate=True)
        if len(raw) not in (KEY_BYTES, 2 * KEY_BYTES):
            raise ValueError(len(raw))
    except (ValueError, binascii.Error):
        raise ProtocolError(
            ProtocolCode.BAD_KEY,
            f"This is no access key: one begins with “{_PREFIX}”.",
            "Ask for one where the backend runs: “flowface keys new NAME” makes it.",
        ) from None
    return Access(_text(raw[:KEY_BYTES]), _text(raw[KEY_BYTES:]))


def public_text(key: str) -> str:
    """A public key as one word that no shell changes; that of a backend is an access key without a secret."""
    return _PREFIX + base64.urlsafe_b64encode(_raw(key)).decode().rstrip("=")


def public_from_text(text: str) -> str:
    """The public key of ``public_text``, or one in Z85; raises ProtocolError (``bad_key``)."""
    if _Z85.fullmatch(text.strip()):
        return text.strip()
    access = access_from_text(text)
    if access.secret:
        raise ProtocolError(
            ProtocolCode.BAD_KEY,
            "This is an access key with a secret, not a public key.",
            "“flowface keys show” on the client's machine prints its public one.",
        )
    return access.backend


def _require_private(path: Path, found: os.stat_result) -> None:
    if sys.platform == "win32":  # a profile's folders are their user's by their access lists
        return
    if not stat.S_ISREG(found.st_mode):
        raise ProtocolError(ProtocolCode.BAD_KEY, f"The key file {path} is not a file.")
    if found.st_uid != os.geteuid():
        raise ProtocolError(ProtocolCode.BAD_KEY, f"The key file {path} belongs to another user.", "Delete it.")
    if found.st_mode & 0o077:
        raise ProtocolError(
            ProtocolCode.BAD_KEY,
            f"The key file {path} can be read by other users of this machine.",
            "Delete it: the next start of a backend makes a new one.",
        )


def _damaged(path: Path) -> ProtocolError:
    hint = "Delete it: the next start of a backend makes a new one."
    return ProtocolError(ProtocolCode.BAD_KEY, f"The key file {path} is damaged.", hint)


def _raw(key: str) -> bytes:
    raw = bytearray()
    for start in range(0, len(key), 5):
        value = 0
        for letter in key[start : start + 5]:
            value = value * 85 + _Z85_LETTERS.index(letter)
        raw += (value & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(raw)


def _text(raw: bytes) -> str:
    letters = []
    for start in range(0, len(raw), 4):
        value = int.from_bytes(raw[start : start + 4], "big")
        letters += [_Z85_LETTERS[value // 85**power % 85] for power in (4, 3, 2, 1, 0)]
    return "".join(letters)
