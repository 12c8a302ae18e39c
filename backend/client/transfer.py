"""The actions of the open head on a face mesh: what ``flowface transfer`` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backend.client.connection import Client, OnStatus
from backend.client.result_files import require_result_names
from backend.client.track import backend_endpoint, write_result
from backend.errors import ErrorCode, UserError
from backend.files import unpack_arrays
from backend.head_model.converters.obj import obj_lines, read_obj
from backend.reading import FileFault, require_file, unreadable_file
from protocol.bounds import MAX_NAME
from protocol.transfer import DELTAS_FILE, SHEET_FILE, TransferJob


def transfer_to_folder(
    mesh: Path, out: Path, endpoint: str | None = None, on_status: OnStatus | None = None
) -> dict[str, float]:
    """Write the result's files for an OBJ or npz mesh into ``out``, for an OBJ one OBJ of each action besides.

    ``endpoint`` None uses the backend that runs, else a private one. Returns the figures of how well it went.

    Raises UserError: ``file_missing``, ``bad_mesh``, ``output_unwritable``; what the transfer raises.
    """
    require_file(mesh, "mesh")
    with backend_endpoint(endpoint) as found, Client(found) as client:
        job = TransferJob(str(mesh.absolute()), name=mesh.stem[:MAX_NAME])
        reply = client.run(job, on_status, (DELTAS_FILE, SHEET_FILE))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(ErrorCode.OUTPUT_UNWRITABLE, f"{out} cannot be made: {error.strerror}.") from error
    for name, data in reply.files.items():
        write_result(out / name, data.tobytes())
    try:
        left = unpack_arrays(reply.files[DELTAS_FILE].tobytes(), texts=True)
    except FileFault as fault:
        raise unreadable_file(out / DELTAS_FILE, "transfer", fault) from fault
    deltas = left["deltas"].astype(np.float64) * left["unit"]
    if mesh.suffix.lower() == ".obj":
        _write_shapes(mesh, out, [str(name) for name in left["names"]], deltas)
    return dict(zip(map(str, left["figure_names"]), map(float, left["figures"]), strict=True))


def _write_shapes(mesh: Path, out: Path, names: list[str], deltas: NDArray[np.float64]) -> None:
    """An OBJ for each action, of the mesh's own lines with other vertices: faces, groups and texture stay."""
    lines = list(obj_lines(mesh))
    rows = [row for row, line in enumerate(lines) if line.startswith("v ")]
    rest = read_obj(mesh).vertices
    require_result_names(names)
    for name, offsets in zip(names, deltas, strict=True):
        for row, place in zip(rows, rest + offsets, strict=True):
            lines[row] = "v {:.6g} {:.6g} {:.6g}".format(*place)
        write_result(out / f"{name}.obj", "\n".join([*lines, ""]).encode())
