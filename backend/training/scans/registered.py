"""A registered scan in a folder: what ``flowface scans register`` writes, and what rendering and carrying read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.errors import ErrorCode, UserError
from backend.files import read_npz, write_atomic, write_npz
from backend.head_model.model import HeadModel
from backend.head_model.rigid import Similarity
from backend.reading import read_json, shown
from backend.training.scans.mesh import ScanMesh, read_scan
from backend.training.scans.register import Registered
from backend.training.scans.report import ScanReport

ARRAYS, ABOUT, MESH = "registered.npz", "registered.json", "registered.obj"
_MAX_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class RegisteredScan:
    """A scan of one person with the open head on it; ``mesh`` in the file's unit, ``by`` who found its landmarks.

    ``file`` is the scan's own, where it came from one.
    """

    name: str
    mesh: ScanMesh
    found: Registered
    by: str
    file: Path | None = None


def write_registered(
    folder: Path, head: HeadModel, found: Registered, scan: Path, texture: Path | None, by: str
) -> None:
    """Write the vertices, the figures, and the head as an OBJ in the scan's own frame and unit."""
    folder.mkdir(parents=True, exist_ok=True)
    move = found.move
    write_npz(
        folder / ARRAYS,
        {
            "vertices": found.vertices,
            "known": found.known,
            "unit": np.array(found.unit),
            "scale": np.array(move.scale),
            "rotation": move.rotation,
            "translation": move.translation,
        },
    )
    about = {
        "head": head.hash,
        "scan": str(scan.absolute()),
        "texture": None if texture is None else str(texture.absolute()),
        "landmarks_by": by,
        "report": asdict(found.report),
    }
    write_atomic(folder / MESH, obj_of(head, found.vertices / found.unit).encode(), public=True)
    write_atomic(folder / ABOUT, json.dumps(about, indent=1).encode(), public=True)  # last: it says that all is there


def obj_of(head: HeadModel, vertices: NDArray[np.floating[Any]]) -> str:
    """The open head's mesh with its places in the atlas."""
    lines = [f"v {x:.7g} {y:.7g} {z:.7g}" for x, y, z in vertices]
    lines += [f"vt {u:.6g} {v:.6g}" for u, v in head.uv_vertices]
    corners = np.stack([head.triangles, head.uv_triangles], axis=2) + 1
    lines += [f"f {a}/{d} {b}/{e} {c}/{f}" for (a, d), (b, e), (c, f) in corners]
    return "\n".join([*lines, ""])


def read_registered(folder: Path, head: HeadModel) -> RegisteredScan:
    """What ``write_registered`` wrote, with its scan.

    Raises UserError ``bad_file``, ``other_head``, and as ``read_scan`` does.
    """
    about = read_json(folder / ABOUT, "registered scan", 1 << 20)
    try:
        made_for, scan, by = about["head"], Path(about["scan"]), str(about["landmarks_by"])
        texture = None if about["texture"] is None else Path(about["texture"])
        report = ScanReport(**about["report"])
        arrays = read_npz(folder / ARRAYS, "registered scan", _MAX_BYTES)
        move = Similarity(float(arrays["scale"]), arrays["rotation"], arrays["translation"])
        found = Registered(
            np.asarray(arrays["vertices"], np.float64),
            np.asarray(arrays["known"], bool),
            float(arrays["unit"]),
            move,
            report,
        )
        fits = found.vertices.shape == head.template.shape and found.known.shape == (head.vertex_count,)
        if not fits or move.rotation.shape != (3, 3) or not np.isfinite(found.vertices).all() or found.unit <= 0:
            raise ValueError("its arrays contradict each other")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            ErrorCode.BAD_FILE,
            f"{shown(folder)} does not hold a registered scan: {error}.",
            "Make it with “flowface scans register”.",
        ) from error
    if made_for != head.hash:
        raise UserError(
            ErrorCode.OTHER_HEAD, f"{shown(folder)} was registered to another open head.", "Register its scan again."
        )
    return RegisteredScan(folder.name, read_scan(scan, texture), found, by, scan)
