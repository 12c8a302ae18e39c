"""Results kept on disk as they are made, so that an evaluation that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from backend.files import write_atomic

BACKEND = Path(__file__).resolve().parent.parent
WITHOUT_EFFECT = (
    *(
        "cli.py",
        "client",
        "demo",
        "export",
        "overlay",
        "point_calibration",
        "server",
        "synthesis",
        "terminal",
        "timing",
    ),
    "training",
    *(
        f"evaluation/{name}.py"
        for name in (
            *("tables", "look_tables", "marks_tables", "motion_tables", "scan_tables"),
            *("plots", "draw_plots", "run", "cli", "progress_view"),
        )
    ),
)
"""Parts of the backend that no measured number depends on."""

EVERYTHING = ("",)
MEASURING = (
    *(f"evaluation/{name}" for name in ("benchmark/", "metrics/", "mesh_landmarks.py", "outside.py")),
    *(
        f"evaluation/{name}"
        for name in ("trackers/mediapipe_mesh.py", "measure.py", "real_data.py", "rig.py", "scan.py", "types.py")
    ),
    *("datasets/", "footage/", "files.py", "head_model/builder/landmarks.py"),
)
"""Parts of the backend that measure whatever tracker, by how their paths begin; a baseline needs no others."""


@lru_cache
def code_digest(parts: tuple[str, ...] = EVERYTHING) -> str:
    """First 12 hex digits of a SHA-256 over code and data of ``parts``: numbers made by other code are made again.

    ``parts`` count as they are written, too, so that a word among them may stand for what lies elsewhere.
    """
    digest = hashlib.sha256("\0".join(parts).encode())
    for path in sorted(p for p in BACKEND.rglob("*") if p.suffix in (".py", ".npz", ".toml")):
        place = path.relative_to(BACKEND).as_posix()
        if place.startswith(parts) and not place.startswith(WITHOUT_EFFECT):
            digest.update(place.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


class Store:
    """Records in a folder, one JSON file each, named by what they are of and by what could change them."""

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._options = dict(options)

    def path(self, *key: str, suffix: str = ".json", parts: tuple[str, ...] = EVERYTHING) -> Path:
        """The file of the record of ``key``, which depends on ``parts`` of the backend."""
        told = json.dumps({"code": code_digest(parts), **self._options}, sort_keys=True, default=str)
        stamp = hashlib.sha256(told.encode()).hexdigest()[:12]
        readable = "_".join("".join(c if c.isalnum() or c in "-+." else "-" for c in part) for part in key)
        exact = hashlib.sha256("\0".join(key).encode()).hexdigest()[:6]
        return self.folder / f"{readable[:120]}-{exact}-{stamp}{suffix}"

    def get(
        self, key: tuple[str, ...], make: Callable[[], dict[str, Any]], parts: tuple[str, ...] = EVERYTHING
    ) -> dict[str, Any]:
        """The record of ``key``, made and kept where it is not there yet; ``parts`` as in ``path``."""
        path = self.path(*key, parts=parts)
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                found = None  # damaged from outside: make it again
            if isinstance(found, dict):
                return found
        record: dict[str, Any] = plain(make())
        write_atomic(path, json.dumps(record, allow_nan=False).encode())
        return record


def plain(value: Any) -> Any:
    """The value as JSON can hold it: numpy numbers and arrays unpacked, what is not finite as None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
