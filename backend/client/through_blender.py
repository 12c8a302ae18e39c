"""Has Blender write a take as one of ``blender_exports``, in a process of its own."""

from __future__ import annotations

import errno
import os
import secrets
from dataclasses import replace
from pathlib import Path

from backend.client.blender_exports import BLENDER_EXPORTS
from backend.client.connection import Client
from backend.client.scene_writer import needed_blender, scene_writer
from backend.errors import ErrorCode, UserError
from protocol.messages import JobState, JobStatus, ResultReply
from protocol.take import TakeResult


def write_by_blender(take: TakeResult, name: str, out: Path) -> None:
    """Have Blender write one head of a take as the export called ``name``, to ``out``, whole or not at all.

    Raises:
        UserError: ``no_blender``, ``scene`` where Blender could not write it, ``output_unwritable``.
    """
    export = BLENDER_EXPORTS[name]
    blender = needed_blender(out.name, "choose an export that needs none")
    if not out.name or out.is_dir():
        raise _unwritable(out, os.strerror(errno.EISDIR))
    if not out.parent.is_dir():  # which Blender would make
        raise _unwritable(out, os.strerror(errno.ENOENT))
    # Exporters go by the ending and write as they work: to a file that takes the place of ``out`` in the end.
    unfinished = out.with_name(f".{out.stem}.{secrets.token_hex(4)}{export.info.suffix}")
    status = JobStatus("", take.name, JobState.DONE, footage=take.cameras[0].footage if take.cameras else "")
    try:
        unfinished.touch()  # what Blender says of a place that it cannot write to does not tell why
        unfinished.unlink()
        with scene_writer(blender, ResultReply(status, take), unfinished, export.format) as finish:
            finish()
        unfinished.replace(out)
    except OSError as error:
        raise _unwritable(out, f"{error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _unwritable(out: Path, why: str) -> UserError:
    return UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{out} cannot be written: {why}.", "Choose another --out.")


def take_of_file(file: Path) -> TakeResult:
    """The take of a track's file, as Blender builds it; raises what ``read_take`` and ``take_result`` raise."""
    from backend.export.blender import take_result
    from backend.export.takes import read_take

    read = read_take(file)
    return take_result(read.track, read.head, read.name, {})


def take_of_job(client: Client, job: str, face: int) -> TakeResult:
    """One head of a finished job's take, counted from 1; raises UserError ``no_result`` where it left none."""
    take = client.result(job).take
    heads = () if take is None else (replace(take, others=()), *take.others)
    if face > len(heads):
        what = "take" if face == 1 else f"head {face}"
        sentence = f"The job {job} left no {what} that could be exported."
        raise UserError(ErrorCode.NO_RESULT, sentence, "Name the job that tracked it.")
    return heads[face - 1]
