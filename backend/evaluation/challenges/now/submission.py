"""Predictions as the NoW Challenge reads them and as they are submitted: PERSON/CATEGORY/NAME.obj and .npy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.challenges.now.layout import NowPicture
from backend.files import write_atomic


def prediction_files(root: Path, picture: NowPicture) -> tuple[Path, Path]:
    """Where a picture's mesh and its seven key points belong."""
    folder = root / picture.person / picture.category
    return folder / f"{picture.stem}.obj", folder / f"{picture.stem}.npy"


def write_prediction(
    root: Path,
    picture: NowPicture,
    vertices: NDArray[np.floating[Any]],
    triangles: NDArray[np.integer[Any]],
    keypoints: NDArray[np.floating[Any]],
) -> None:
    """Write a neutral mesh, metres, and its key points (7,3): an OBJ without colours, which the challenge's reader
    does not know, and an array of single precision, as its ``compute_error.py`` loads it."""
    mesh, points = prediction_files(root, picture)
    mesh.parent.mkdir(parents=True, exist_ok=True)
    told = io.StringIO()
    np.savetxt(told, vertices, "v %.7f %.7f %.7f")
    np.savetxt(told, np.asarray(triangles) + 1, "f %d %d %d")
    array = io.BytesIO()
    np.save(array, np.asarray(keypoints, np.float32), allow_pickle=False)
    write_atomic(points, array.getvalue(), public=True)
    write_atomic(mesh, told.getvalue().encode(), public=True)
