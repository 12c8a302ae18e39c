"""Codes of what can be wrong with a message."""

from __future__ import annotations

from enum import StrEnum


class ProtocolCode(StrEnum):
    """Every code of a ``ProtocolError``: stable, and the same on the wire."""

    BAD_ARRAY = "bad_array"
    BAD_FIELD = "bad_field"
    BAD_FILE = "bad_file"
    BAD_HEADER = "bad_header"
    BAD_KEY = "bad_key"
    BAD_LINE = "bad_line"
    BAD_OPTION = "bad_option"
    BAD_TAKE = "bad_take"
    NO_KEY = "no_key"
    TOO_LARGE = "too_large"
    UNKNOWN_KIND = "unknown_kind"
    UNKNOWN_OPTION = "unknown_option"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_PROTOCOL = "wrong_protocol"
