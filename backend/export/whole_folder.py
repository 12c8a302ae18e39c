"""A folder of exported files that is there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.errors import ErrorCode, UserError


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` to write into, which becomes ``out`` once the block is done, and else is removed.

    Raises:
        UserError: ``bad_output`` where there is something at ``out`` already, ``output_unwritable`` where nothing can
            be written there.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - resolve() would follow a link that is to be written beside
    try:
        taken = any(out.iterdir()) if out.is_dir() else os.path.lexists(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    if taken:
        sentence = f"There is something at {out} already; an export of several files takes a folder of its own."
        raise UserError(ErrorCode.BAD_OUTPUT, sentence, "Choose another folder, or remove that one.")
    unfinished = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if out.is_dir():
            out.rmdir()
        unfinished.rename(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _unwritable(out: Path, error: OSError) -> UserError:
    sentence = f"{out} cannot be written: {error.strerror or error}."
    return UserError(ErrorCode.OUTPUT_UNWRITABLE, sentence, "Choose another folder.")
