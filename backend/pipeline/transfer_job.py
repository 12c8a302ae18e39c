"""The work of a transfer: the open head's actions on a face mesh, and a sheet to judge them by."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import Cancelled, ErrorCode, UserError
from backend.files import read_npz, write_atomic
from backend.progress import JobProgress, OnProgress, ShouldCancel
from backend.reading import require_file, shown
from protocol.face_actions import ARKIT_ACTIONS
from protocol.transfer import DELTAS_FILE, SHEET_FILE, TransferJob

if TYPE_CHECKING:
    from backend.transfer.types import TargetMesh, Transferred

MAX_BYTES = 256 << 20  # of a mesh's file, and of its arrays


def run_job(
    spec: TransferJob, job_dir: Path, *, on_progress: OnProgress, should_cancel: ShouldCancel, **_worker: object
) -> Path:
    """Leave ``DELTAS_FILE`` and ``SHEET_FILE`` in ``job_dir``; the first is returned.

    Raises:
        UserError: ``file_missing``, ``footage_relative``, what ``read_mesh`` and ``transfer_actions`` raise.
        Cancelled: ``should_cancel`` said so.
    """
    from backend.alignment.landmarks.plain_mesh import still_face_mesh
    from backend.head_model.library import load_head
    from backend.transfer.sheet import open_drawn, transfer_sheet
    from backend.transfer.transfer import transfer_actions

    on_progress(JobProgress("reading the mesh", 0.0))
    done, drawn = transfer_actions(
        read_mesh(spec),
        still_face_mesh,
        on_progress=lambda share, text: on_progress(JobProgress(text, 0.8 * share)),
        should_cancel=should_cancel,
    )

    def drawing(share: float) -> None:
        if should_cancel():
            raise Cancelled
        on_progress(JobProgress("drawing the sheet", 0.8 + 0.2 * share))

    names = [name for name in ARKIT_ACTIONS if name in done.names]
    sheet = transfer_sheet(open_drawn(load_head("open")), drawn, names, drawing)
    return leave(done, sheet, job_dir)


def leave(done: Transferred, sheet: NDArray[np.uint8], job_dir: Path) -> Path:
    """Write the result's files, the sheet (H,W,3) RGB among them; the path of the deltas'."""
    import cv2

    write_atomic(job_dir / DELTAS_FILE, _packed(done))
    _, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    write_atomic(job_dir / SHEET_FILE, png.tobytes())
    return job_dir / DELTAS_FILE


def read_mesh(spec: TransferJob) -> TargetMesh:
    """The mesh of a job. Raises ``UserError`` ``file_missing``, ``bad_file``, ``bad_mesh``, ``too_large``."""
    from backend.head_model.converters.obj import read_obj
    from backend.transfer.types import TargetMesh

    path = Path(spec.mesh)
    if not path.is_absolute():
        raise UserError(
            ErrorCode.FILE_MISSING,
            f"The mesh “{path}” is not a full path, and the backend may run in another folder.",
            "Submit the full path.",
        )
    require_file(path, "mesh")
    if path.suffix.lower() == ".obj":
        obj = read_obj(path)
        vertices, triangles = obj.vertices, obj.triangles
    else:
        vertices, triangles = _read_arrays(path)
    return TargetMesh(
        vertices,
        triangles,
        {point.name: np.array(point.at) for point in spec.points},
        None if spec.up is None else np.array(spec.up),
        None if spec.forward is None else np.array(spec.forward),
    )


def _read_arrays(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    data = read_npz(path, "mesh", MAX_BYTES)
    try:
        return data["vertices"], data["triangles"]
    except KeyError as error:
        raise UserError(
            ErrorCode.BAD_FILE,
            f"{shown(path)} holds no mesh ({error} is missing).",
            "Give an OBJ, or an npz with vertices and triangles.",
        ) from error


def _packed(done: Transferred) -> bytes:
    """The result as a file: half floats keep a delta to 2^-11 of itself, whatever the mesh's unit is."""
    unit = 1 / done.frame.scale
    data = io.BytesIO()
    np.savez_compressed(
        data,
        names=np.array(done.names),
        deltas=(done.deltas / unit).astype(np.float16),
        unit=np.float64(unit),
        figure_names=np.array(list(done.figures)),
        figures=np.array(list(done.figures.values())),
    )
    return data.getvalue()
