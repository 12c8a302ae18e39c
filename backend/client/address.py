"""Where the backend is that one asks for, and the key that lets one in: ``--endpoint`` and ``--key``."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Annotated

import typer

from backend.errors import ErrorCode, UserError
from protocol import keys as k
from protocol.codec import ProtocolError

EndpointOption = Annotated[
    str,
    typer.Option(help="Backend to use, such as tcp://127.0.0.1:5055, or tcp://HOST:5794 of another machine."),
]
KeyOption = Annotated[
    str,
    typer.Option(
        help="Key for the backend of --endpoint, where it is not this user's own: what “flowface keys new” printed or "
        "wrote there, or the backend's public key from “flowface keys show”.",
        envvar="FLOWFACE_KEY",
        metavar="KEY|FILE",
    ),
]


class Address(str):
    """An endpoint with the key for it."""

    access: k.Access

    def __new__(cls, endpoint: str, access: k.Access) -> Address:
        address = super().__new__(cls, endpoint)
        address.access = access
        return address


def address(endpoint: str, key: str) -> str | None:
    """The endpoint asked for, an ``Address`` where there is a key; None where none is, whatever the key.

    Raises:
        UserError: the key is none, its file cannot be read or is readable by others.
    """
    if not endpoint:
        return None
    return Address(endpoint, access_of(key)) if key else endpoint


def access_of(key: str) -> k.Access:
    """The access that an access key or a file with one gives; without a secret, that of this client's own key."""
    try:
        access = k.access_from_text(key if k.is_access_text(key) else _content(Path(key)))
    except ProtocolError as error:
        raise UserError(ErrorCode.BAD_KEYS, error.message, error.hint) from error
    if access.secret:
        return access
    from backend.server.keys import KeyRing, keys_folder  # here, because it loads sockets

    return k.Access(access.backend, KeyRing(keys_folder()).own_client.secret)


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UserError(ErrorCode.BAD_KEYS, f"The key file {path} is not a file.")
            if sys.platform != "win32" and mode & 0o077:
                raise UserError(
                    ErrorCode.BAD_KEYS,
                    f"The key file {path} can be read by other users of this machine.",
                    f"“chmod 600 {path}” makes it yours alone.",
                )
            return file.read(k.MAX_FILE_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no path"
        raise UserError(
            ErrorCode.BAD_KEYS,
            f"“{str(path)[:200]}” is neither an access key nor a file with one: {why}.",
            "Ask for one where the backend runs: “flowface keys new NAME” makes it.",
        ) from error
