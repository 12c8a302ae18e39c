"""A clip tracked by our tracker, and the fitted head drawn as its camera sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.trackers.flowface import FlowFace, fitted_mesh
from backend.evaluation.types import MeshSequence
from backend.head_model.action_weights import solve_action_weights
from backend.head_model.drawing import Drawing
from backend.head_model.library import load_head
from backend.head_model.model import HeadModel, surface_positions
from backend.head_model.personal import with_corrections
from backend.head_model.render import HeadRenderer

F64 = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Performance:
    """T frames of a fitted head: its meshes in camera space and ARKit weights (T,52)."""

    head: HeadModel
    mesh: MeshSequence
    weights: NDArray[np.float32]

    def points(self, frame: int) -> F64:
        """MediaPipe's points (478,2) in pixels, where the fitted head has them."""
        seen = surface_positions(self.head.landmarks["mediapipe478"], self.mesh.triangles, self.mesh.vertices[frame])
        seen = np.asarray(seen, np.float64)
        return seen[:, :2] / seen[:, 2:] * self.mesh.focal_px[frame] + self.mesh.principal_point

    def no_larger_than(self, side: int) -> Performance:
        """The same in an image whose longer side has at most ``side`` pixels."""
        scale = min(1.0, side / max(self.mesh.image_size))
        width, height = (max(1, round(length * scale)) for length in self.mesh.image_size)
        factors = np.array([width, height]) / self.mesh.image_size
        mesh = replace(
            self.mesh,
            focal_px=self.mesh.focal_px * scale,
            principal_point=self.mesh.principal_point * factors,
            image_size=(width, height),
        )
        return replace(self, mesh=mesh)


def perform(tracker: FlowFace, clip: Path) -> Performance:
    """Track a clip. Raises UserError as reading footage and aligning do, and ``no_face``."""
    head = load_head(tracker.head_name)
    observed = tracker.observe(clip)
    fit = tracker.solve(head, observed, clip)
    person = with_corrections(head, fit.action_corrections)
    return Performance(head, fitted_mesh(head, fit, observed), solve_action_weights(person, fit.expression, fit.gaze))


class Portrait:
    """Draws a performance at the footage's size: skin, lips and eyes painted, brows and lashes, on one colour.

    A context manager: it holds an OpenGL context. Raises UserError ``no_opengl`` and ``image_size``.
    """

    def __init__(self, performance: Performance, background: tuple[int, int, int] = (128, 128, 128)) -> None:
        self._performance, self._drawing = performance, Drawing.of(performance.head)
        self._how: dict[str, Any] = {
            "texture": self._drawing.texture,
            "corner_uv": self._drawing.corner_uv,
            "principal_point": tuple(map(float, performance.mesh.principal_point)),
            "world_to_camera": np.eye(3, 4),
        }
        width, height = performance.mesh.image_size
        self._background = np.broadcast_to(np.array(background, np.uint8), (height, width, 3))
        self._renderer = HeadRenderer((width, height))

    def __enter__(self) -> Self:
        self._renderer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._renderer.__exit__(kind, error, at)

    def picture(self, frame: int) -> Image:
        """RGB (H,W,3)."""
        mesh = self._performance.mesh
        focal = float(mesh.focal_px[frame])
        vertices = self._drawing.vertices(mesh.vertices[frame])
        return self._renderer.render(
            vertices,
            self._drawing.triangles,
            self._drawing.shades(vertices),
            focal_px=focal,
            background=self._background,
            **self._how,
        )
