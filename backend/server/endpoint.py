"""Addresses a backend may listen on."""

from __future__ import annotations

import ipaddress
import re

from backend.errors import ErrorCode, UserError

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5793"

_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[^:/\[\]]+):(\d{1,5}|\*)")


def loopback_endpoint(endpoint: str) -> str:
    """The endpoint in the form that sockets take ("localhost" becomes its number); ``*`` as port means any free one.

    Raises:
        UserError: ``bad_endpoint``, or ``not_loopback`` for an address that other machines could reach: what is said
            here is not encrypted yet, and whoever connects may have this machine's files read.
    """
    match = _TCP.fullmatch(endpoint)
    if not match or (match[2] != "*" and int(match[2]) > 65535):
        raise UserError(ErrorCode.BAD_ENDPOINT, f"“{endpoint}” is not an address like {DEFAULT_ENDPOINT}.")
    host, port = match[1].strip("[]"), match[2]
    if host == "localhost":
        host = "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        sentence = f"The backend only listens on this machine, and “{host}” can be reached from others."
        raise UserError(ErrorCode.NOT_LOOPBACK, sentence, f"Use an address like {DEFAULT_ENDPOINT}.")
    return f"tcp://[{address}]:{port}" if address.version == 6 else f"tcp://{address}:{port}"
