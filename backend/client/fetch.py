"""What a finished job has left, written to a folder as its own command would have."""

from __future__ import annotations

from pathlib import Path

from backend.client.job_access import JobAccess
from backend.client.scene_writer import wanted_blender
from backend.client.track import OnStage, output_folder, write_output, write_result
from backend.errors import ErrorCode, UserError
from backend.server.refusals import require_usable
from protocol.messages import JobStatus


def fetch_to_folder(
    access: JobAccess,
    job: JobStatus,
    out: Path,
    *,
    blend: bool = True,
    overlay: bool = True,
    on_stage: OnStage | None = None,
) -> dict[str, Path]:
    """Write a job's results; what was written, by name. Of a job without a take, all files that it left.

    Raises UserError: ``no_result``, ``no_blender``, ``output_unwritable``, and what writing an overlay raises.
    """
    require_usable(job)
    with output_folder(out):
        if on_stage:
            on_stage("fetching the result")
        reply = access.result(job.job_id, all_files=True)
        if reply.take is not None:
            return dict(write_output(reply, out, wanted_blender(blend), overlay=overlay, on_stage=on_stage).files)
        files = {}
        for name, data in reply.files.items():
            if Path(name).name != name or name.startswith("."):  # a backend's files are named by it, and no folders
                raise UserError(ErrorCode.BAD_FILE, f"The result has a file with the name “{name[:60]}”.")
            files[name] = out / name
            write_result(out / name, data.tobytes())
        return files
