"""This client's own key, by which a backend on another machine knows it. Knows nothing of bpy.

It is that of this user's clients where a backend of theirs ever ran here; else one is made, and is
the key from then on.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import zmq

from .vendor import codec, keys


class CannotKeep(Exception):  # noqa: N818 - its text is a sentence for the user
    """The reason for which there is no key."""


def own_pair() -> keys.KeyPair:
    """The pair of keys; raises CannotKeep."""
    path = keys.user_key_file().with_name("client.key")
    try:
        kept = _kept(path)
        if kept is not None:
            return kept
        try:
            return keys.read_user_file(keys.user_key_file())[1]
        except codec.ProtocolError as error:
            if error.code != codec.ProtocolCode.NO_KEY:
                raise
        return _make(path)
    except codec.ProtocolError as error:
        raise CannotKeep(f"{error.message} {error.hint}".strip()) from error
    except OSError as error:
        raise CannotKeep(f"The key of this client cannot be kept at {path}: {error.strerror}.") from error


def complete(text: str) -> str:
    """An access key with a secret: its own, or where it has none this client's.

    Raises CannotKeep, ProtocolError (``bad_key``).
    """
    access = keys.access_from_text(text)
    return text if access.secret else keys.access_text(keys.Access(access.backend, own_pair().secret))


def _kept(path: Path) -> keys.KeyPair | None:
    try:
        data = keys.read_secret(path)
    except codec.ProtocolError as error:
        if error.code == codec.ProtocolCode.NO_KEY:
            return None
        raise
    if isinstance(data, dict) and all(isinstance(data.get(name), str) for name in ("public", "secret")):
        return keys.KeyPair(data["public"], data["secret"])
    raise codec.ProtocolError(codec.ProtocolCode.BAD_KEY, f"The key file {path} is damaged.", "Delete it.")


def _make(path: Path) -> keys.KeyPair:
    public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        json.dump({"public": public, "secret": secret}, file)
    return keys.KeyPair(public, secret)
