"""The studio in which a person of the benchmark is filmed: skin, light, background, lens and the sensor's noise."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from backend.evaluation.benchmark.head import BenchmarkHead
from backend.evaluation.benchmark.paint import paint_person
from backend.evaluation.benchmark.scene import Scene, make_background, noise_tile
from backend.evaluation.benchmark.specs import SequenceSpec
from backend.head_model.render import HeadRenderer, Light

Image = NDArray[np.uint8]


class Studio:
    """Films one person, ``spec``'s, in ``count`` pictures. A context manager: it holds an OpenGL context.

    Raises UserError ``no_opengl`` and ``no_backgrounds``.
    """

    def __init__(self, spec: SequenceSpec, ict: BenchmarkHead, scene: Scene, count: int) -> None:
        self._side, self._ict = spec.side, ict
        self._noise = noise_tile(spec, scene.noise)
        self._shift = spec.random("shift").integers(0, spec.side, (count, 2))
        self._how: dict[str, Any] = {
            "focal_px": scene.focal_px,
            "principal_point": (spec.side / 2, spec.side / 2),
            "world_to_camera": np.eye(3, 4),
            "background": make_background(spec),
            "texture": paint_person(ict, spec),
            "corner_uv": ict.corner_uv,
            "lights": scene.lights,
            "ambient": scene.ambient,
            "gloss": scene.gloss,
        }
        self._renderer = HeadRenderer((spec.side, spec.side))

    def __enter__(self) -> Self:
        self._renderer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._renderer.__exit__(kind, error, at)

    def picture(self, vertices: NDArray[np.floating[Any]], lights: Sequence[Light] | None = None) -> Image:
        """The clean RGB picture (side,side,3) of the person's vertices (V,3) in camera space.

        ``lights`` stand in for the scene's, whose directions are those of its camera.
        """
        drawn = faces_camera(vertices, self._ict.triangles)
        how = self._how if lights is None else self._how | {"lights": lights}
        return self._renderer.render(vertices, self._ict.triangles, drawn=drawn, **how)

    def grained(self, picture: NDArray[np.integer[Any]], number: int) -> Image:
        """A picture with the noise that the sensor has in the picture of this number."""
        top, left = self._shift[number]
        grain = self._noise[top : top + self._side, left : left + self._side]
        return np.clip(picture + grain, 0, 255).astype(np.uint8)


def faces_camera(vertices: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.bool_]:
    """The triangles (F,) of a closed surface (V,3) in camera space that show their outside; the rest are covered."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    return np.asarray(np.einsum("fc,fc->f", np.cross(b - a, c - a), a) < 0)
