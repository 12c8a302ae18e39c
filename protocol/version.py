"""The versions of the language that add-on, command line and backend speak, and who adapts where they differ.

The rule:

* New message types, and new fields where leaving them out is harmless, raise no version: what is unknown is ignored.
* ``PROTOCOL_VERSION`` is raised when a message changes so that an older peer would misunderstand it.
* The newer side adapts, because it alone knows both. It speaks all versions from ``OLDEST_VERSION`` on, at least the
  one before its own. A backend answers every message in the version that it came in. A client whose greeting is refused
  by an older backend (the refusal is sent in that backend's version) greets again in that version.
* In an older version a client asks for nothing that would be misunderstood: see the ``…_SINCE`` below.
* Beyond that range a sentence says which side to update. ``Error`` is read whatever version it is sent in.

Versions: 2, a lens may be a fisheye, which an older backend would take for another. 3, a backend makes one job of all
submits with one token.
"""

from __future__ import annotations

PROTOCOL_VERSION = 3
OLDEST_VERSION = 2
"""Clients and backends of 1 know no keys and cannot connect at all."""
ONE_JOB_PER_TOKEN_SINCE = 3
"""A client asks an older backend no second time for a job: it may get two."""


def is_spoken(version: object) -> bool:
    """Whether this release understands messages of a version."""
    return type(version) is int and OLDEST_VERSION <= version <= PROTOCOL_VERSION


def older_version(refused_by: int, spoken: int) -> int | None:
    """The version in which to greet a backend again that refused ``spoken`` by a message in ``refused_by``; None where
    that is of no use."""
    return refused_by if is_spoken(refused_by) and refused_by < spoken else None


def mismatch_sentence(client_name: str, client_version: object, backend_version: object) -> str:
    """Say which side is older: both sides use this, so a user reads the same words wherever it was noticed."""
    sentence = f"This {client_name} speaks protocol {client_version}, the backend speaks {backend_version}"
    if not (isinstance(client_version, int) and isinstance(backend_version, int)):
        return f"{sentence}: update both to the same release."
    return f"{sentence}: update the {client_name if client_version < backend_version else 'backend'}."
