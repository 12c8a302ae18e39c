"""A head of this scene as the neutral face of the next take: an earlier take's, or one that a user has sculpted on."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .scene.head import OWN_VERTICES

KEPT = 10
"""Files of earlier jobs that stay: one of them may still wait in the backend's queue."""


def write_neutral(obj: Any, folder: Path) -> Path:
    """Write a mesh object's vertices, without its shape keys' and modifiers' doing, as a file that the backend reads.

    Its size counts (the object's own scale), where it stands does not. Files are named by what is in them.

    Raises:
        OSError: the folder cannot be written to.
    """
    mesh = obj.data
    points = mesh.shape_keys.reference_key.data if mesh.shape_keys is not None else mesh.vertices
    vertices = np.empty(3 * len(points), np.float32)
    points.foreach_get("co", vertices)
    own, built = mesh.get(OWN_VERTICES, (0, 0))
    if len(points) == built:
        vertices = vertices[: 3 * own]
    vertices = vertices.reshape(-1, 3) * np.array(obj.scale, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{hashlib.sha256(vertices.tobytes()).hexdigest()[:16]}.npz"
    np.savez(file, vertices=vertices)
    for old in sorted(folder.glob("*.npz"), key=lambda entry: entry.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return file
