"""The version of the language that add-on and backend speak, and the sentence for when they differ."""

from __future__ import annotations

PROTOCOL_VERSION = 2
"""Raised when a message changes so that an older peer would misunderstand it; new types and fields do not count where
leaving them out is harmless (2: a lens may be a fisheye, which an older backend would take for another)."""


def mismatch_sentence(client_name: str, client_version: object, backend_version: object) -> str:
    """Say which side is older: both sides use this, so a user reads the same words wherever it was noticed."""
    sentence = f"This {client_name} speaks protocol {client_version}, the backend speaks {backend_version}"
    if not (isinstance(client_version, int) and isinstance(backend_version, int)):
        return f"{sentence}: update both to the same release."
    return f"{sentence}: update the {client_name if client_version < backend_version else 'backend'}."
