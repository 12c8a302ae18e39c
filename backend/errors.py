"""The exceptions that travel through the backend: what a user can mend, and what a user called off."""

from __future__ import annotations


class UserError(Exception):
    """Something a user can understand and mend.

    ``code`` is stable and machine-readable (it travels over the protocol), ``message`` is one clear sentence that
    names the file, frame or field and what was expected, ``hint`` says what to do.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class Cancelled(Exception):  # noqa: N818 - it is not an error
    """Raised inside long work once its ``should_cancel`` says so."""
