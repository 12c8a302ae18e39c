"""Whether a backend is on another machine. Knows nothing of bpy."""

from __future__ import annotations

import re

_HOST = re.compile(r"tcp://\[?([^\]]+?)\]?:[^:]*")
_LOOPBACK = re.compile(r"127(\.\d+){3}|localhost|::1")


def is_remote(endpoint: str, access_key: str) -> bool:
    """True where an address is another machine's; one with an access key is, even through a tunnel that ends here."""
    host = _HOST.fullmatch(endpoint)
    return bool(access_key) or (host is not None and not _LOOPBACK.fullmatch(host[1]))
