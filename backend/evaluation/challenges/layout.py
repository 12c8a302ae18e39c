"""Looking at a folder before anything is done with it: all that is missing is told at once, by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.errors import ErrorCode, UserError
from backend.reading import is_folder, shown

MAX_NAMED = 12
"""Missing files that a sentence names; of a wrong folder everything is missing."""


def require_folder(folder: Path, what: str) -> None:
    """Raise UserError ``challenge_layout`` where there is no ``folder``; ``what`` names the challenge ("NoW")."""
    if not is_folder(folder):
        raise UserError(
            ErrorCode.CHALLENGE_LAYOUT, f"There is no folder {shown(folder)} with {what}'s data.", "Check the path."
        )


def refuse_missing(folder: Path, what: str, missing: Sequence[Path | str], hint: str) -> None:
    """Raise UserError ``challenge_layout`` naming what is ``missing``, if anything, as seen from ``folder``.

    ``hint`` says how the folder is laid out, or where its parts are downloaded.
    """
    if not missing:
        return
    names = [_seen_from(folder, entry) for entry in dict.fromkeys(missing)]
    told = ", ".join(names[:MAX_NAMED]) + (f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else "")
    raise UserError(
        ErrorCode.CHALLENGE_LAYOUT, f"The folder {shown(folder)} lacks parts of {what}'s data: {told}.", hint
    )


def _seen_from(folder: Path, entry: Path | str) -> str:
    path = Path(entry)
    return shown(path.relative_to(folder) if path.is_relative_to(folder) else entry)
