"""Names under which a backend hands over files: it is not believed, as it may be another machine's."""

from __future__ import annotations

from collections.abc import Iterable

from backend.errors import ErrorCode, UserError
from protocol.packed_folder import is_plain

PROXIES = "proxy"
"""The one folder within a result."""


def is_result_name(name: str) -> bool:
    """Whether a name is that of a result's file, or of one of its proxies (“proxy/camera.mp4”)."""
    folder, slash, last = name.rpartition("/")
    return is_plain(last) and folder == (PROXIES if slash else "")


def require_result_names(names: Iterable[str]) -> None:
    """Raises UserError (``bad_file``) where a name would have a file written elsewhere."""
    for name in names:
        if not is_result_name(name):
            raise UserError(ErrorCode.BAD_FILE, f"The backend's result has a file with the name “{name[:60]}”.")
