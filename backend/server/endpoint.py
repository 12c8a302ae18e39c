"""Addresses a backend may listen on."""

from __future__ import annotations

import ipaddress
import re
from typing import TypeAlias

from backend.errors import ErrorCode, UserError

DEFAULT_ENDPOINT = "tcp://127.0.0.1:5793"

NETWORK_EXAMPLE = "tcp://0.0.0.0:5794"

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[^:/\[\]]+):(\d{1,5}|\*)")


def loopback_endpoint(endpoint: str) -> str:
    """The endpoint in the form that sockets take ("localhost" becomes its number); ``*`` as port means any free one.

    Raises:
        UserError: ``bad_endpoint``, or ``not_loopback`` for an address that other machines could reach: this user's
            own key counts on this machine only.
    """
    host, port = _parts(endpoint, DEFAULT_ENDPOINT)
    address = _address(host)
    if address is None or not address.is_loopback:
        sentence = f"Here the backend only listens on this machine, and “{host}” can be reached from others."
        raise UserError(
            ErrorCode.NOT_LOOPBACK, sentence, f"Use an address like {DEFAULT_ENDPOINT}; --network is for the others."
        )
    return _written(address, port)


def network_endpoint(endpoint: str) -> str:
    """The endpoint for trusted clients on other machines in the form that sockets take; ``*`` means any free port.

    It may be one of this machine only, where a tunnel ends. Raises UserError (``bad_endpoint``).
    """
    host, port = _parts(endpoint, NETWORK_EXAMPLE)
    address = _address("0.0.0.0" if host == "*" else host)
    if address is None:
        raise UserError(
            ErrorCode.BAD_ENDPOINT,
            f"“{host}” is a name, and a backend listens at the number of one of its machine's addresses.",
            f"Use an address like {NETWORK_EXAMPLE}, which are all of them.",
        )
    return _written(address, port)


def _parts(endpoint: str, example: str) -> tuple[str, str]:
    match = _TCP.fullmatch(endpoint)
    if not match or (match[2] != "*" and int(match[2]) > 65535):
        raise UserError(ErrorCode.BAD_ENDPOINT, f"“{endpoint[:200]}” is not an address like {example}.")
    return match[1].strip("[]"), match[2]


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None


def _written(address: Address, port: str) -> str:
    return f"tcp://[{address}]:{port}" if address.version == 6 else f"tcp://{address}:{port}"
