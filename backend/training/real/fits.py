"""The open head fitted to a photograph or a whole clip: what the first aligner and the fit say of every frame."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.alignment.align_footage import align_footage
from backend.alignment.finder import face_finder
from backend.alignment.landmarks import point_sigma, pose_bias
from backend.alignment.landmarks.aligner import LandmarkAligner
from backend.errors import ErrorCode, UserError
from backend.fitting import View
from backend.fitting.posed import world_vertices
from backend.footage import open_footage
from backend.head_model.library import OPEN_HEAD
from backend.head_model.model import HeadModel
from backend.observations import BOX_FIELDS, ViewAlignment
from backend.solving import solve_take


@dataclass(frozen=True, eq=False)
class FittedTake:
    """A take of T frames. ``vertices (T,V,3)`` metres in camera space; frames without a face are to be left alone."""

    alignment: ViewAlignment
    presence: NDArray[np.float64]  # (T,) 0…1, the aligner's; 0 where there is no face
    vertices: NDArray[np.float32]
    focal_px: float
    principal_point: tuple[float, float]
    error: NDArray[np.float64]  # (T,) mean reprojection error of the valid points over the inter-ocular distance
    inter_ocular_px: NDArray[np.float64]  # (T,) outer eye corners, as if seen frontally
    facing: NDArray[np.float64]  # (T,) cosine of the angle between the face's forward axis and the camera's axis

    def positions(self, frame: int) -> NDArray[np.float64]:
        """(V,2) pixels of the open head's vertices."""
        return project(self.vertices[frame], self.focal_px, self.principal_point)


def project(
    vertices: NDArray[np.floating[Any]], focal_px: float, principal_point: tuple[float, float]
) -> NDArray[np.float64]:
    """Pixels (…,2) of points (…,3) in camera space."""
    vertices = np.asarray(vertices, np.float64)
    return np.asarray(vertices[..., :2] / vertices[..., 2:] * focal_px + principal_point)


class TakeFitter(AbstractContextManager["TakeFitter", None]):
    """Aligns and fits footage with the product's own parts; use it as a context manager or call ``close``."""

    def __init__(self, head: HeadModel) -> None:
        self.head = head
        self._aligner = LandmarkAligner()
        self._finder = face_finder()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the aligner's threads."""
        self._aligner.close()

    def fit(self, path: Path) -> FittedTake | None:
        """The largest face of a still or a clip, fitted as one take; None where there is no face.

        Raises UserError as ``open_footage`` does.
        """
        try:
            seen = align_footage(open_footage(path, alone=True), self._aligner, finder=self._finder)
        except UserError as error:
            if error.code == ErrorCode.NO_FACE:
                return None
            raise
        fit = solve_take(self.head, [View(seen)]).fit
        error_px = np.where(seen.valid, fit.reprojection_error_px[0], 0).sum(axis=1) / np.maximum(
            seen.valid.sum(axis=1), 1
        )
        return FittedTake(
            alignment=seen,
            presence=seen.boxes[:, BOX_FIELDS.index("score")],
            vertices=world_vertices(self.head, fit),
            focal_px=fit.cameras[0].focal_px,
            principal_point=fit.cameras[0].principal_point,
            error=error_px / fit.inter_ocular_px[0],
            inter_ocular_px=fit.inter_ocular_px[0],
            facing=-fit.head_rotation[:, 2, 2],
        )


def cache_name(path: Path, what: str, version: int) -> str:
    """A file name for what was made of ``path``: another one once the file, the head or the code is another."""
    digest = hashlib.sha256(f"{what}|{version}|{_makers()}|".encode())
    digest.update(path.read_bytes())
    return f"{path.parent.name}-{path.stem}-{what}-{digest.hexdigest()[:16]}.npz"


@lru_cache(maxsize=1)
def _makers() -> str:
    """The files that a fit depends on beside its code: the head's file and the aligner's tables."""
    digest = hashlib.sha256()
    for file in (OPEN_HEAD, point_sigma.TABLE, pose_bias.TABLE):
        digest.update(file.read_bytes())
    return digest.hexdigest()
